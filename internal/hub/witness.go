package hub

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/notary/witness"
)

// WitnessOptions are all that a witness needs: it has no part in a hub.
type WitnessOptions struct {
	Listen    string // host:port
	TLS       TLS
	Plaintext string    // as HTTP.Plaintext
	Folder    string    // what it has cosigned, and evidence
	Key       string    // key file, made on first use
	Name      string    // of the key: a URL without scheme
	Policy    string    // tlog-policy file: its log lines are what is cosigned
	Log       io.Writer // nil means os.Stderr
	Ready     func(address string)
}

// WitnessKey opens a witness's key, made on first use.
func (o WitnessOptions) WitnessKey() (*notary.Key, error) { return notary.WitnessKey(o.Key, o.Name) }

// ServeWitness runs a tlog-witness until ctx ends.
func ServeWitness(ctx context.Context, c Config, o WitnessOptions) error {
	if !loopback(o.Listen) && o.TLS.Certificate == "" && o.Plaintext != "behind-tls-proxy" {
		return fault.New(fault.Invalid, "an address that is not loopback needs a certificate, or the words behind-tls-proxy")
	}
	config, err := tlsConfig("witness", o.TLS)
	if err != nil {
		return err
	}
	key, err := o.WitnessKey()
	if err != nil {
		return err
	}
	if o.Policy == "" {
		return fault.New(fault.Invalid, "a witness needs a policy that names logs")
	}
	policy, err := readPolicy(o.Policy)
	if err != nil {
		return err
	}
	store, err := notary.OpenDir(filepath.Clean(o.Folder), 0o700)
	if err != nil {
		return err
	}
	log := logger(c.WithDefaults(), o.Log)
	w, err := witness.New(witness.Config{Signer: key, Policy: policy, Store: store, Log: log})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fault.New(fault.Unavailable, "the witness's address is not free").Wrap(err)
	}
	if o.Ready != nil {
		o.Ready(l.Addr().String())
	}
	return serve(ctx, l, config, w.Handler(), 5*time.Second, log)
}
