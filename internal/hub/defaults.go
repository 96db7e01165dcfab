package hub

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config {
	set(&c.Mode, Embedded)
	set(&c.Data, defaultData())
	set(&c.HTTP.Address, "127.0.0.1:8080")
	set(&c.NATS.Address, "127.0.0.1:4222")
	set(&c.NATS.MaxStore, 4096)
	set(&c.NATS.Replicas, map[string]int{Embedded: 1, Cluster: 3}[c.Mode])
	set(&c.Keys.File, filepath.Join(c.Data, "keys", "kek"))
	set(&c.Retention.Years, 6)
	set(&c.Ledger.Origin, "dosewire.example/log")
	set(&c.Ledger.Reads, 30)
	set(&c.Notary.Folder, filepath.Join(c.Data, "notary"))
	set(&c.Notary.Key, filepath.Join(c.Notary.Folder, "key"))
	set(&c.Notary.Interval, time.Second)
	set(&c.Notary.Policy, c.Notary.ownPolicy())
	if c.Notary.S3.Bucket == "" {
		set(&c.Notary.Tiles, filepath.Join(c.Notary.Folder, "tiles"))
	}
	set(&c.Telemetry.Log, "text")
	set(&c.Telemetry.Level, "info")
	set(&c.Grace.HTTP, 15*time.Second)
	set(&c.Grace.Adapters, 10*time.Second)
	set(&c.Grace.Recorder, 15*time.Second)
	set(&c.MemoryLimit, DefaultMemoryLimit)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func defaultData() string {
	if xdg := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) { // relative ones are to be ignored (XDG Base Directory Specification)
		return filepath.Join(xdg, "dosewire")
	}
	return "data"
}

// AdminSocket is where a hub with this configuration answers its operator.
func (c Config) AdminSocket() string { return filepath.Join(c.Data, "admin.sock") }

func (c Config) recordsFile() string { return filepath.Join(c.Data, "records.db") }

// ownPolicy is the policy file that the notary makes when it is absent. Another one is its operator's.
func (n Notary) ownPolicy() string { return filepath.Join(n.Folder, "trust.policy") }

// publishDir is the folder in which the notary publishes, unless it is a bucket.
func (n Notary) publishDir() string {
	if isURL(n.Tiles) {
		return filepath.Join(n.Folder, "tiles")
	}
	return n.Tiles
}

func isURL(place string) bool {
	u, err := url.Parse(place)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// The key database has a folder of its own, so that a backup of one folder never holds both.
func (c Config) keysFile() string   { return filepath.Join(c.Data, "keys", "keys.db") }
func (c Config) streamsDir() string { return filepath.Join(c.Data, "nats") }

// loopback reports whether nothing but this machine can reach an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
