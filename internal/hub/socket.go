package hub

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

var errSocket = fault.New(fault.Unavailable, "hub: the admin socket cannot be made")

// listenAdmin takes the admin socket. One that nobody answers is left over from a crash. The socket is
// made and locked in a folder of its own and then moved into place, so that there is no moment at
// which others could connect, whatever the mode of the data folder.
func listenAdmin(ctx context.Context, path string) (net.Listener, error) {
	if admin.NewClient(path).Running(ctx) {
		return nil, ErrRunning
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".")
	if err != nil {
		return nil, errSocket.Wrap(err)
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, errSocket.Wrap(err)
	}
	l.SetUnlinkOnClose(false) // it would look for the first name
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		return nil, errors.Join(errSocket.Wrap(err), l.Close())
	}
	return socket{l, path}, nil
}

// socket is a listener that takes its file with it.
type socket struct {
	net.Listener
	path string
}

func (s socket) Close() error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errSocket.Wrap(err), s.Listener.Close())
	}
	return s.Listener.Close()
}
