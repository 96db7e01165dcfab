package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Install is the command that a missing PostgreSQL asks for.
const Install = "sudo apt-get install -y postgresql"

// Server is a running PostgreSQL.
type Server struct {
	cmd  *exec.Cmd
	port int
	done chan struct{}
}

// Start makes a cluster in dir, which must not exist, and runs it until Stop.
func Start(ctx context.Context, dir string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	who, err := owner()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = &syscall.SysProcAttr{Credential: who}, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("testenv: initdb: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{port: port, done: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "max_connections=60", "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB",
		"-c", "log_min_messages=fatal")
	s.cmd.SysProcAttr, s.cmd.Dir = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGINT}, dir
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("testenv: postgres: %w", err)
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	return s, s.await(ctx)
}

// programs is the folder with initdb and postgres: that of PATH, else the newest of Debian's.
func programs() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.Sort(found)
	if len(found) == 0 {
		return "", errors.New("testenv: PostgreSQL is not installed: " + Install)
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// owner is who runs PostgreSQL: it refuses to run as root, so root runs it as the system's postgres.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("testenv: no user to run PostgreSQL as: " + Install)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// await returns when the server answers.
func (s *Server) await(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if err := s.exec(ctx, "postgres", "SELECT 1"); err == nil {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("testenv: postgres ended at once")
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.Stop()
	return errors.New("testenv: postgres did not answer in 30 s")
}

// Pid is of the server's first process; its backends are children of that one.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// DSN is the URL of a database on the server.
func (s *Server) DSN(database string) string {
	return "postgres://postgres@127.0.0.1:" + strconv.Itoa(s.port) + "/" + database + "?sslmode=disable"
}

// Stop ends the server (SIGINT: fast shutdown) and waits. It may be called twice.
func (s *Server) Stop() {
	select {
	case <-s.done:
		return
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// exec runs one statement with psql.
func (s *Server) exec(ctx context.Context, database, statement string) error {
	psql, err := exec.LookPath("psql")
	if err != nil {
		return errors.New("testenv: psql is not installed: " + Install)
	}
	out, err := exec.CommandContext(ctx, psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", s.DSN(database), "-c", statement).CombinedOutput()
	if err != nil {
		return fmt.Errorf("testenv: psql: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Create makes an empty database and returns its URL.
func (s *Server) Create(ctx context.Context, name string) (string, error) {
	if err := s.exec(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return s.DSN(name), nil
}
