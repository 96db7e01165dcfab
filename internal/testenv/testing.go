package testenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Shared is one PostgreSQL for all tests of a binary. Make it a variable of TestMain and call Run.
type Shared struct {
	once   sync.Once
	server *Server
	dir    string
	err    error
	n      atomic.Int64
}

// Run runs the tests and stops the server, if one was started.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if s.server != nil {
		s.server.Stop()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // in the system's temporary folder
	}
	return code
}

// Server starts PostgreSQL on first use. A missing one fails the test.
func (s *Shared) Server(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "dosewire-pg-"); s.err != nil {
			return
		}
		if s.err = os.Chmod(s.dir, 0o755); s.err != nil { // PostgreSQL's user must pass
			return
		}
		s.server, s.err = Start(context.Background(), filepath.Join(s.dir, "pg"))
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Database makes an empty database for one test and returns its URL.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	dsn, err := s.Server(t).Create(context.Background(), fmt.Sprint("t", s.n.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}
