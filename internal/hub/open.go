package hub

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/awskms"
	"github.com/dosewire/dosewire/ledger/awss3"
	"github.com/dosewire/dosewire/ledger/filekey"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/postgres"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/recorder"
	"github.com/dosewire/dosewire/ledger/scrub"
	"github.com/dosewire/dosewire/ledger/sqlite"
	"github.com/dosewire/dosewire/ledger/trust"
	"github.com/dosewire/dosewire/streams"
	"github.com/dosewire/dosewire/streams/embedded"
)

// This file is the only place that knows there is a choice.

// notYet says clearly what this version cannot do.
func notYet(c Config) error {
	if c.Mode == Cluster {
		return fault.New(fault.Invalid, "config: mode cluster is not served by this version: the connection to a NATS cluster is missing. "+
			"Mode embedded with store.dsn, store.keysDSN and keys.kms runs one hub on PostgreSQL and KMS")
	}
	return nil
}

// records is everything that one records database answers.
type records interface {
	recorder.Store
	ledger.Reader
	ledger.StateReader
	notary.Source
	scrub.Source
	directory.Store
}

// databases are the two that must survive.
type databases struct {
	kind    string // sqlite or postgresql
	records records
	keys    ledger.Generations
	wrapper ledger.KeyWrapper
	closers []io.Closer
	rewrite bool // the hub's login may change what is recorded
}

func (d databases) close() (err error) {
	for _, c := range d.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// openStores opens both databases and the wrapper of the deployment key.
func openStores(ctx context.Context, c Config) (d databases, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if c.Store.Migrate || c.Store.DSN == "" {
		if err := Migrate(ctx, c); err != nil {
			return d, err
		}
	}
	if err := d.open(ctx, c); err != nil {
		return d, err
	}
	return d, d.openWrapper(ctx, c)
}

// openDatabases opens them as they are, for a command that reads beside a hub.
func openDatabases(ctx context.Context, c Config) (d databases, err error) {
	if err = d.open(ctx, c); err == nil {
		err = d.openWrapper(ctx, c)
	}
	if err != nil {
		err = errors.Join(err, d.close())
	}
	return d, err
}

func (d *databases) open(ctx context.Context, c Config) error {
	if c.Store.DSN != "" {
		return d.openPostgres(ctx, c)
	}
	return d.openSQLite(ctx, c)
}

// ErrKeysLost: what was recorded was sealed under keys that are not in the key database. Restore it.
var ErrKeysLost = fault.New(fault.Tampered, "hub: the ledger has entries, but the key database holds no deployment key: "+
	"restore the key database (keys/keys.db in the data folder, or store.keysDSN) and the key file from the backup that belongs to these records")

// openWrapper opens what protects the deployment key. Only a deployment that has neither keys nor
// entries may begin with new ones: replaced keys open nothing, and find no message that was recorded.
func (d *databases) openWrapper(ctx context.Context, c Config) error {
	stored, err := d.keys.Deployment(ctx)
	if err != nil {
		return err
	}
	if len(stored) > 0 {
		if c.Keys.KMS == "" {
			d.wrapper, err = filekey.OpenExisting(c.Keys.File)
			return err
		}
		d.wrapper, err = openWrapper(ctx, c.Keys)
		return err
	}
	head, err := d.records.Head(ctx)
	if err != nil {
		return err
	}
	if head.Size > 0 {
		return ErrKeysLost
	}
	d.wrapper, err = openWrapper(ctx, c.Keys)
	return err
}

// openWrapper opens what protects the deployment key.
func openWrapper(ctx context.Context, k Keys) (ledger.KeyWrapper, error) {
	if k.KMS != "" {
		return awskms.Open(ctx, awskms.Config{Key: k.KMS, Endpoint: k.KMSEndpoint})
	}
	return filekey.Open(k.File)
}

// openKeyDatabase opens the key database alone, as it is migrated.
func openKeyDatabase(ctx context.Context, c Config) (ledger.Generations, io.Closer, error) {
	if c.Store.DSN != "" {
		keys, err := postgres.OpenKeys(ctx, postgres.Config{DSN: c.Store.KeysDSN, Conns: 2})
		return keys, keys, err
	}
	keys, err := sqlite.OpenKeys(ctx, c.keysFile())
	return keys, keys, err
}

func (d *databases) openSQLite(ctx context.Context, c Config) error {
	d.kind = "sqlite"
	store, err := sqlite.Open(ctx, c.recordsFile())
	if err != nil {
		return err
	}
	d.records, d.closers = store, append(d.closers, store)
	keys, err := sqlite.OpenKeys(ctx, c.keysFile())
	if err != nil {
		return err
	}
	d.keys, d.closers = keys, append(d.closers, keys)
	return nil
}

func (d *databases) openPostgres(ctx context.Context, c Config) error {
	d.kind = "postgresql"
	store, err := postgres.Open(ctx, postgres.Config{DSN: c.Store.DSN})
	if err != nil {
		return err
	}
	d.records, d.closers = store, append(d.closers, store)
	if d.rewrite, err = store.MayRewrite(ctx); err != nil {
		return err
	}
	keys, err := postgres.OpenKeys(ctx, postgres.Config{DSN: c.Store.KeysDSN})
	if err != nil {
		return err
	}
	d.keys, d.closers = keys, append(d.closers, keys)
	return nil
}

// Migrate makes both databases, or brings them to this program's schema.
func Migrate(ctx context.Context, c Config) error {
	c = c.WithDefaults()
	if c.Store.DSN != "" {
		return errors.Join(postgres.Migrate(ctx, c.Store.DSN), postgres.MigrateKeys(ctx, c.Store.KeysDSN))
	}
	if err := os.MkdirAll(filepath.Dir(c.keysFile()), 0o700); err != nil {
		return fault.New(fault.Unavailable, "hub: the folder for keys cannot be made").Wrap(err)
	}
	return errors.Join(sqlite.Migrate(ctx, c.recordsFile()), sqlite.MigrateKeys(ctx, c.keysFile()))
}

// openRecords opens the records database alone, as a verifier needs it.
func openRecords(ctx context.Context, c Config) (ledger.Reader, func() error, error) {
	if c.Store.DSN != "" {
		s, err := postgres.Open(ctx, postgres.Config{DSN: c.Store.DSN})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	s, err := sqlite.Open(ctx, c.recordsFile())
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// openChain opens the ledger alone, read-only, as a notary in its own process does.
func openChain(ctx context.Context, c Config) (notary.Source, func() error, error) {
	if c.Store.DSN != "" {
		s, err := postgres.OpenChain(ctx, c.Store.DSN)
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	s, err := sqlite.OpenChain(ctx, c.recordsFile())
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// openSigner opens the notary's key, whose name is the ledger's origin.
func openSigner(ctx context.Context, n Notary, origin string) (*notary.Key, error) {
	if n.KMS == "" {
		return notary.LogKey(n.Key, origin)
	}
	s, err := awskms.OpenSigner(ctx, awskms.Config{Key: n.KMS, Endpoint: n.KMSEndpoint}, origin)
	if err != nil {
		return nil, err
	}
	v, err := trust.LogVerifier(s.VerifierKey())
	return &notary.Key{Signer: s, Verifier: v, VKey: s.VerifierKey()}, err
}

// openStorage opens the place where the notary publishes.
func openStorage(ctx context.Context, n Notary) (notary.Storage, error) {
	if n.S3.Bucket == "" {
		return notary.OpenDir(n.publishDir(), 0o755)
	}
	return openBucket(ctx, n.S3)
}

func openBucket(ctx context.Context, c S3) (*bucket, error) {
	b, err := awss3.Open(ctx, awss3.Config{Bucket: c.Bucket, Region: c.Region, Prefix: c.Prefix, Endpoint: c.Endpoint,
		Retain: time.Duration(c.RetainDays) * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	return &bucket{b}, nil
}

// Published opens what the notary publishes, to read it.
func Published(ctx context.Context, c Config) (receipt.Tiles, error) {
	n := c.WithDefaults().Notary
	if n.S3.Bucket == "" || n.Tiles != "" {
		return receipt.TilesAt(n.Tiles), nil
	}
	return openBucket(ctx, n.S3)
}

// broker is the NATS server as the hub sees it.
type broker struct {
	url     string // for organisations
	connect func(...nats.Option) (*nats.Conn, error)
	healthy func() error
	failed  <-chan error // gives one when only a restart mends it
	close   func()
	near    bool // in this process: what waits for its commit goes to the recorder without it
}

// startBroker starts the embedded server. Its streams are encrypted under a key derived from the
// deployment key: the folder is of no use without it.
func startBroker(ctx context.Context, h *Hub) (broker, error) {
	c := h.config
	config, err := tlsConfig("nats", c.NATS.TLS)
	if err != nil {
		return broker{}, err
	}
	storeKey := h.keys.Index(ledger.ID{}, "dosewire/streams/v1").Hash
	s, err := embedded.Start(ctx, embedded.Config{Address: c.NATS.Address, Dir: c.streamsDir(), Key: storeKey[:],
		MaxStore: int64(c.NATS.MaxStore) << 20, TLS: config, Auth: gatekeeper{h.verifier}}, h.log)
	if err != nil {
		return broker{}, err
	}
	return broker{url: s.URL(), connect: s.Conn, healthy: s.Healthy, failed: s.Failed(), close: s.Close, near: true}, nil
}

// EmbeddedIntakeKept is how much that was recorded stays in RX_INTAKE beside an embedded server, bytes. That holds in
// memory what it has written lately, so it is little.
const EmbeddedIntakeKept = 2 << 20

// intakeKept is how much that was recorded stays in RX_INTAKE.
func (c Config) intakeKept() int64 {
	if c.Mode == Embedded {
		return EmbeddedIntakeKept
	}
	return c.streamSettings().IntakeBytes / 4
}

// streamSettings sizes the streams for this deployment. A quarter of the disk is for the backlog,
// which JetStream reserves; the rest is for deliveries.
func (c Config) streamSettings() streams.Settings {
	return streams.Settings{Replicas: c.NATS.Replicas, IntakeBytes: int64(c.NATS.MaxStore) << 20 / 4}
}
