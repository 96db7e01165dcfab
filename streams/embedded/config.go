package embedded

import (
	"crypto/tls"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// Config of the embedded server.
type Config struct {
	// Address is host:port for clients. Empty means 127.0.0.1 and a free port, as does port 0.
	Address string
	// Dir holds the store; made if absent. Required.
	Dir string
	// Key encrypts the store: 32 random bytes, the same at every start. Required.
	Key []byte
	// MaxStore is the most that all streams may take on disk, in bytes. Zero means 8 GiB.
	MaxStore int64
	// TLS for clients; nil means plain TCP.
	TLS *tls.Config
	// Auth decides about every client. Nil refuses all of them; the hub's own connection still works.
	Auth Authenticator
}

// KeySize is the length of Config.Key.
const KeySize = 32

const defaultMaxStore = 8 << 30

// options maps c to the server's own, or says what is wrong with it.
func (c Config) options(gate server.Authentication) (*server.Options, error) {
	if c.Dir == "" || len(c.Key) != KeySize {
		return nil, fault.New(fault.Invalid, "embedded: a folder and a key of 32 bytes are needed")
	}
	host, port := "127.0.0.1", server.RANDOM_PORT
	if c.Address != "" {
		h, p, err := net.SplitHostPort(c.Address)
		if err != nil {
			return nil, fault.New(fault.Invalid, "embedded: address").Wrap(err)
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil, fault.New(fault.Invalid, "embedded: port").Wrap(err)
		}
		if host = h; n != 0 {
			port = int(n) // 0 would mean 4222 to the server
		}
	}
	store := c.MaxStore
	if store <= 0 {
		store = defaultMaxStore
	}
	return &server.Options{
		ServerName: "dosewire",
		Host:       host,
		Port:       port,
		TLSConfig:  c.TLS,
		TLS:        c.TLS != nil,
		TLSTimeout: 5,

		JetStream:          true,
		StoreDir:           c.Dir,
		SyncAlways:         true,
		JetStreamKey:       string(c.Key),
		JetStreamCipher:    server.AES,
		JetStreamMaxStore:  store,
		JetStreamMaxMemory: 64 << 20,
		JetStreamLimits: server.JSLimitOpts{
			MaxBatchInflightPerStream: stagedBatches,
			MaxBatchSize:              stagedSize,
			MaxBatchTimeout:           stagedTime,
		},

		MaxPayload: streams.MaxPayload,
		MaxPending: 64 << 20,
		MaxConn:    maxConnections,
		NoSigs:     true, // else the server would exit the process on SIGINT

		CustomClientAuthentication: gate,
	}, nil
}

// Times of Start.
const (
	startWait  = 30 * time.Second
	healthWait = 3 * time.Second
)
