package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Dir is a Storage in a folder. Files appear whole or not at all: they are written under another
// name, synced, and linked or renamed. Several processes may share it.
type Dir struct{ root string }

var (
	_ Storage = (*Dir)(nil)
	_ pruner  = (*Dir)(nil)
)

// OpenDir makes the folder, for its owner alone if mode is 0700, when it is absent.
func OpenDir(root string, mode fs.FileMode) (*Dir, error) {
	if err := os.MkdirAll(root, mode); err != nil {
		return nil, errStorage.Wrap(err)
	}
	return &Dir{root}, nil
}

func (d *Dir) name(path string) string { return filepath.Join(d.root, filepath.FromSlash(path)) }

// Get implements Register.
func (d *Dir) Get(_ context.Context, path string) ([]byte, error) {
	b, err := os.ReadFile(d.name(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoObject
	}
	if err != nil {
		return nil, errStorage.Wrap(err)
	}
	return b, nil
}

// Create implements Storage.
func (d *Dir) Create(ctx context.Context, path string, data []byte) error {
	if have, err := d.Get(ctx, path); err == nil {
		return same(path, have, data)
	}
	name := d.name(path)
	if err := d.folder(filepath.Dir(name)); err != nil {
		return err
	}
	temp, err := write(filepath.Dir(name), data)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	switch err := os.Link(temp, name); {
	case errors.Is(err, fs.ErrExist): // another process, just now
		have, err := d.Get(ctx, path)
		return errors.Join(err, same(path, have, data))
	case err != nil:
		return errStorage.Wrap(err)
	}
	return syncDir(filepath.Dir(name))
}

func same(path string, have, want []byte) error {
	if !bytes.Equal(have, want) {
		return ErrDiffers.Wrap(fmt.Errorf("%s: %d bytes are stored, %d are due", path, len(have), len(want)))
	}
	return nil
}

// Replace implements Register. A lock file keeps other processes out between comparing and renaming.
func (d *Dir) Replace(ctx context.Context, path string, old, data []byte) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	have, err := d.Get(ctx, path)
	switch {
	case err != nil && !errors.Is(err, ErrNoObject):
		return err
	case err != nil && old != nil, err == nil && (old == nil || !bytes.Equal(have, old)):
		return ErrMoved
	}
	name := d.name(path)
	if err := d.folder(filepath.Dir(name)); err != nil {
		return err
	}
	temp, err := write(filepath.Dir(name), data)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return errStorage.Wrap(errors.Join(err, os.Remove(temp)))
	}
	return syncDir(filepath.Dir(name))
}

// Prune implements pruner.
func (d *Dir) Prune(_ context.Context, path string) error {
	if err := os.RemoveAll(d.name(path)); err != nil {
		return errStorage.Wrap(err)
	}
	return nil
}

// lock takes the folder's lock file, waiting for others, which hold it for one write.
func (d *Dir) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.root, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errStorage.Wrap(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errStorage.Wrap(errors.Join(err, f.Close()))
	}
	return func() { _ = f.Close() }, nil // closing lets go of the lock
}

// folder makes a folder inside the root and syncs every parent that has got a new child.
func (d *Dir) folder(name string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if name != d.root {
		if err := d.folder(filepath.Dir(name)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return errStorage.Wrap(err)
	}
	return syncDir(filepath.Dir(name))
}

// write makes a synced file with a name of its own.
func write(folder string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return "", errStorage.Wrap(err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return "", errStorage.Wrap(errors.Join(err, os.Remove(f.Name())))
	}
	return f.Name(), nil
}

func syncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return errStorage.Wrap(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return errStorage.Wrap(err)
	}
	return nil
}
