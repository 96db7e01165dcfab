package hub

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// BehindProxy is the only word that Plaintext may hold.
const BehindProxy = "behind-tls-proxy"

// maxSocketPath is what every supported system takes for a Unix socket (103), less the room in which
// it is made, bytes.
const maxSocketPath = 90

// Validate reports all mistakes at once. It expects defaults to be filled in. The errors are of kind
// Invalid and show no secret.
func (c Config) Validate() error {
	v := &validation{}
	v.check(c.Mode == Embedded || c.Mode == Cluster, "mode is neither embedded nor cluster")
	v.check(len(c.AdminSocket()) <= maxSocketPath, "data: the path is too long for a socket in it (%d bytes, at most %d)", len(c.AdminSocket()), maxSocketPath)
	v.listen("http", c.HTTP.Address, c.HTTP.TLS, c.HTTP.Plaintext)
	v.listen("nats", c.NATS.Address, c.NATS.TLS, c.NATS.Plaintext)
	v.baseURL(c.BaseURL)
	v.check(c.NATS.MaxStore >= 64, "nats.maxStore is less than 64 (MiB)")
	v.check(slices.Contains([]int{1, 3, 5}, c.NATS.Replicas), "nats.replicas is not 1, 3 or 5")
	v.check(c.Telemetry.Log == "text" || c.Telemetry.Log == "json", "telemetry.log is neither text nor json")
	_, err := logLevel(c.Telemetry.Level)
	v.check(err == nil, "telemetry.level is none of debug, info, warn, error")
	v.check(c.MemoryLimit == -1 || c.MemoryLimit >= 32, "memoryLimit is neither -1 nor at least 32 (MiB)")
	v.check(c.Ledger.Origin != "" && !strings.ContainsAny(c.Ledger.Origin, " \n+"), "ledger.origin has a space, a plus sign or a line break")
	for name, d := range map[string]time.Duration{"ready": c.Grace.Ready, "http": c.Grace.HTTP, "adapters": c.Grace.Adapters, "recorder": c.Grace.Recorder} {
		v.check(d >= 0 && d <= 10*time.Minute, "grace.%s is not between 0s and 10m", name)
	}
	if _, err := c.FHIR.load(); err != nil {
		v.errs = append(v.errs, err)
	}
	if err := c.Safety.present(); err != nil {
		v.errs = append(v.errs, err)
	}
	v.retention(c.Retention)
	v.check(c.Keys.Missing == "" || c.Keys.Missing == acceptMissing, "keys.missing is neither empty nor %s", acceptMissing)
	v.prescriptions(c.Prescriptions)
	v.store(c.Store)
	v.keys(c.Keys)
	v.notary(c.Notary)
	if c.Mode == Cluster {
		v.cluster(c)
	} else {
		v.check(len(c.NATS.URLs) == 0 && c.NATS.Credentials == "", "nats.urls and nats.credentials belong to mode cluster")
		v.check(c.NATS.Replicas == 1, "nats.replicas: the embedded server keeps one")
	}
	return v.join()
}

type validation struct{ errs []error }

func (v *validation) check(ok bool, format string, args ...any) {
	if !ok {
		v.errs = append(v.errs, fault.New(fault.Invalid, "config: "+fmt.Sprintf(format, args...)))
	}
}

func (v *validation) join() error {
	slices.SortStableFunc(v.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(v.errs...)
}

// listen holds "TLS or loopback, nothing between, unless said in words".
func (v *validation) listen(name, address string, t TLS, plaintext string) {
	_, port, err := net.SplitHostPort(address)
	n, perr := strconv.Atoi(port)
	v.check(err == nil && perr == nil && n >= 0 && n <= 65535, "%s.address is not host:port", name)
	v.check((t.Certificate == "") == (t.Key == ""), "%s.tls needs both certificate and key", name)
	v.check(plaintext == "" || plaintext == BehindProxy, "%s.plaintext is not %q", name, BehindProxy)
	if err == nil && t.Certificate == "" && plaintext == "" {
		v.check(loopback(address), "%s.address can be reached from other machines: set %s.tls, or %s.plaintext: %s", name, name, name, BehindProxy)
	}
}

func (v *validation) baseURL(s string) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	v.check(ok && !strings.HasSuffix(s, "/"), "baseURL is not an http(s) URL without trailing slash")
}

func (v *validation) store(s Store) {
	v.check((s.DSN == "") == (s.KeysDSN == ""), "store.dsn and store.keysDSN are set together or not at all")
	v.check(s.DSN == "" || s.DSN != s.KeysDSN, "store.keysDSN is the same database as store.dsn: keys and records must be backed up apart")
	for name, dsn := range map[string]string{"dsn": s.DSN, "keysDSN": s.KeysDSN} {
		ok := dsn == "" || strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
		v.check(ok, "store.%s is not a postgres:// URL", name)
		_, err := url.Parse(dsn)
		v.check(!ok || err == nil, "store.%s cannot be read: percent-encode what is special in user and password", name)
	}
}

func (v *validation) keys(k Keys) {
	v.check(k.KMS == "" || strings.HasPrefix(k.KMS, "arn:") && strings.Contains(k.KMS, ":key/"), "keys.kms is not the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID)")
	v.check(k.KMSEndpoint == "" || k.KMS != "", "keys.kmsEndpoint needs keys.kms")
}

func (v *validation) notary(n Notary) {
	v.check(n.KMS == "" || strings.HasPrefix(n.KMS, "arn:") && strings.Contains(n.KMS, ":key/"), "notary.kms is not the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID)")
	v.check(n.KMSEndpoint == "" || n.KMS != "", "notary.kmsEndpoint needs notary.kms")
	v.check(n.Interval > 0, "notary.interval is not positive")
	s := n.S3
	v.check(s.Bucket != "" || s == (S3{}), "notary.s3 needs notary.s3.bucket")
	v.check(s.Bucket == "" || s.Region != "", "notary.s3.bucket needs notary.s3.region")
	v.check(s.Bucket == "" || n.Tiles == "" || isURL(n.Tiles), "notary.tiles is a folder, and notary.s3.bucket is set: what is published has one place")
	v.check(!strings.HasPrefix(s.Prefix, "/"), "notary.s3.prefix begins with a slash")
	v.check(s.RetainDays >= 0 && s.RetainDays <= 100*365, "notary.s3.retainDays is not between 0 and 36500")
}

func (v *validation) cluster(c Config) {
	v.check(len(c.NATS.URLs) > 0, "mode cluster needs nats.urls")
	v.check(c.NATS.Credentials != "", "mode cluster needs nats.credentials")
	v.check(c.Store.DSN != "", "mode cluster needs store.dsn and store.keysDSN")
	v.check(c.BaseURL != "", "mode cluster needs baseURL")
	for _, u := range c.NATS.URLs {
		v.check(strings.HasPrefix(u, "tls://"), "nats.urls: one does not begin with tls://")
	}
}

func logLevel(s string) (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(s))
	return l, err
}
