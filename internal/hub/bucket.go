package hub

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"github.com/dosewire/dosewire/ledger/awss3"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/receipt"
)

// bucket joins S3 to the notary, which publishes there, and to receipts, which are made from it. It
// lets go of nothing: partial tiles stay, under their locks.
type bucket struct{ s3 *awss3.Bucket }

var (
	_ notary.Storage = (*bucket)(nil)
	_ receipt.Tiles  = (*bucket)(nil)
)

// Get implements notary.Register.
func (b *bucket) Get(ctx context.Context, path string) ([]byte, error) {
	data, _, err := b.s3.Get(ctx, path)
	if errors.Is(err, awss3.ErrNotFound) {
		return nil, notary.ErrNoObject
	}
	return data, err
}

// Read implements receipt.Tiles.
func (b *bucket) Read(ctx context.Context, name string) ([]byte, error) {
	data, err := b.Get(ctx, name)
	if errors.Is(err, notary.ErrNoObject) {
		return nil, fs.ErrNotExist
	}
	return data, err
}

// Create implements notary.Storage.
func (b *bucket) Create(ctx context.Context, path string, data []byte) error {
	_, err := b.s3.Create(ctx, path, data)
	if errors.Is(err, awss3.ErrExists) {
		return notary.ErrDiffers.Wrap(err)
	}
	return err
}

// Replace implements notary.Register. A write whose answer was lost is looked for: the SDK's second
// attempt is refused where the first was done.
func (b *bucket) Replace(ctx context.Context, path string, old, data []byte) error {
	stored, tag, err := b.s3.Get(ctx, path)
	switch missing := errors.Is(err, awss3.ErrNotFound); {
	case err != nil && !missing:
		return err
	case missing != (old == nil), !missing && !bytes.Equal(stored, old):
		return notary.ErrMoved
	}
	if _, err = b.s3.Replace(ctx, path, data, tag); err == nil {
		return nil
	}
	if now, _, e := b.s3.Get(ctx, path); e == nil && bytes.Equal(now, data) {
		return nil
	}
	if errors.Is(err, awss3.ErrChanged) || errors.Is(err, awss3.ErrExists) {
		return notary.ErrMoved.Wrap(err)
	}
	return err
}
