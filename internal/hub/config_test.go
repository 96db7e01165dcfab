package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

func TestLoadDefaults(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/srv/state")
	c, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != Embedded || c.Data != "/srv/state/dosewire" || c.HTTP.Address != "127.0.0.1:8080" || c.NATS.Address != "127.0.0.1:4222" || c.NATS.Replicas != 1 {
		t.Errorf("defaults: %+v", c)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	if c, _ := Load("", nil); c.Data != "data" {
		t.Errorf("data = %q, want data", c.Data)
	}
}

func TestLoadFileAndEnvironment(t *testing.T) {
	path := write(t, `
mode: embedded
baseURL: "https://rx.example"
http:
  address: 0.0.0.0:8443
  tls: {certificate: c.pem, key: k.pem}
nats:
  maxStore: 512
grace:
  http: 3s
store: # all of it commented out
adapters:
  push:
    keyFile: vapid.pem
    allowHosts: [push.example]
`)
	c, err := Load(path, []string{"DOSEWIRE_GRACE_HTTP=4s", "PORT=9000", "HOME=/root", "DOSEWIRE_CONFIG=x"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Grace.HTTP != 4*time.Second {
		t.Errorf("grace.http = %v: the environment must win", c.Grace.HTTP)
	}
	if c.HTTP.Address != "0.0.0.0:9000" {
		t.Errorf("http.address = %q: PORT replaces the port alone", c.HTTP.Address)
	}
	if got := string(c.Adapters["push"]); got != `{"allowHosts":["push.example"],"keyFile":"vapid.pem"}` {
		t.Errorf("adapters.push = %s", got)
	}
	if c.HTTP.TLS.Certificate != "c.pem" || c.NATS.MaxStore != 512 || c.BaseURL != "https://rx.example" {
		t.Errorf("file: %+v", c)
	}
}

func TestLoadDatabaseURL(t *testing.T) {
	c, err := Load("", []string{"DATABASE_URL=postgres://db/records", "DOSEWIRE_STORE_KEYS_DSN=postgres://keys/keys"})
	if err != nil || c.Store.DSN != "postgres://db/records" {
		t.Errorf("dsn = %q, err %v", c.Store.DSN, err)
	}
}

// A password that is not percent-encoded is a mistake in the configuration, and is not shown.
func TestLoadRefusesAnUnreadableDSN(t *testing.T) {
	_, err := Load("", []string{"DATABASE_URL=postgres://hub:s3 cr3t@db/records", "DOSEWIRE_STORE_KEYS_DSN=postgres://hub:p%zz@keys/keys"})
	if err == nil || !strings.Contains(err.Error(), "store.dsn cannot be read") || !strings.Contains(err.Error(), "store.keysDSN cannot be read") {
		t.Fatalf("%v, want both DSNs refused", err)
	}
	if strings.Contains(err.Error(), "cr3t") || strings.Contains(err.Error(), "zz") {
		t.Errorf("the error shows a password: %v", err)
	}
}

func TestLoadReportsAllMistakesAtOnce(t *testing.T) {
	const secret = "s3cr3t"
	path := write(t, `
mode: laptop
htpp:
  address: x
http:
  address: 0.0.0.0:8080
  adress: y
store:
  dsn: mysql://u:`+secret+`@db/x
grace:
  recorder: soon
nats: [1]
memoryLimit: lots
`)
	_, err := Load(path, []string{"DOSEWIRE_HTPP_ADDRESS=" + secret, "DOSEWIRE_GRACE_HTTP=" + secret})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"mode is neither embedded nor cluster", "line 3: htpp is not a known key", "line 7: http.adress is not a known key",
		"http.address can be reached from other machines", "store.dsn and store.keysDSN are set together", "store.dsn is not a postgres:// URL",
		"line 11: grace.recorder is not a duration", "line 12: nats is not a mapping", "line 13: memoryLimit is not a whole number",
		"variable DOSEWIRE_HTPP_ADDRESS is not known", "variable DOSEWIRE_GRACE_HTTP: not a duration",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error shows a value:\n%v", err)
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("kind = %v, want invalid", fault.KindOf(err))
	}
}

func TestValidate(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Config)
		want   string // "" = valid
	}{
		"defaults":             {func(*Config) {}, ""},
		"ipv6 loopback":        {func(c *Config) { c.HTTP.Address = "[::1]:8080" }, ""},
		"all interfaces":       {func(c *Config) { c.HTTP.Address = ":8080" }, "can be reached from other machines"},
		"said in words":        {func(c *Config) { c.HTTP.Address = ":8080"; c.HTTP.Plaintext = BehindProxy }, ""},
		"said in wrong words":  {func(c *Config) { c.HTTP.Address = ":8080"; c.HTTP.Plaintext = "yes" }, "http.plaintext is not"},
		"tls":                  {func(c *Config) { c.NATS.Address = ":4222"; c.NATS.TLS = TLS{"c", "k"} }, ""},
		"half of tls":          {func(c *Config) { c.NATS.TLS.Key = "k" }, "needs both"},
		"same database":        {func(c *Config) { c.Store = Store{DSN: "postgres://x/a", KeysDSN: "postgres://x/a"} }, "backed up apart"},
		"records without keys": {func(c *Config) { c.Store.DSN = "postgres://x/a" }, "set together"},
		"cluster by halves":    {func(c *Config) { c.Mode = Cluster; c.NATS.Replicas = 3 }, "needs nats.urls"},
		"kms when embedded":    {func(c *Config) { c.Keys.KMS = "arn:aws:kms:eu-central-1:111122223333:key/1" }, ""},
		"an alias":             {func(c *Config) { c.Keys.KMS = "arn:aws:kms:eu-central-1:111122223333:alias/x" }, "keys.kms is not the ARN"},
		"endpoint alone":       {func(c *Config) { c.Keys.KMSEndpoint = "https://kms.example" }, "needs keys.kms"},
		"urls when embedded":   {func(c *Config) { c.NATS.URLs = []string{"tls://a"} }, "belong to mode cluster"},
		"slash":                {func(c *Config) { c.BaseURL = "https://a/" }, "without trailing slash"},
		"origin with plus":     {func(c *Config) { c.Ledger.Origin = "a+b" }, "ledger.origin"},
		"long socket path":     {func(c *Config) { c.Data = strings.Repeat("d", 100) }, "too long for a socket"},
		"no address":           {func(c *Config) { c.HTTP.Address = "here" }, "not host:port"},
		"prescriptions": {func(c *Config) {
			c.Prescriptions = Prescriptions{Controlled: []string{"http://www.nlm.nih.gov/research/umls/rxnorm|7052"},
				ControlledAllow: []string{"0192f3c4-5a6b-7c8d-9e0f-112233445566"}, Directed: []string{"urn:category|directed"}}
		}, ""},
		"a code without its system": {func(c *Config) { c.Prescriptions.Controlled = []string{"7052"} }, "prescriptions.controlled: an entry is not system|code"},
		"a category with a space":   {func(c *Config) { c.Prescriptions.Directed = []string{"urn:x| a "} }, "prescriptions.directed: an entry is not system|code"},
		"allowed by name": {func(c *Config) {
			c.Prescriptions = Prescriptions{Controlled: []string{"a|b"}, ControlledAllow: []string{"Riverside"}}
		}, "not the id of an organisation"},
		"allowed what is not barred": {func(c *Config) { c.Prescriptions.ControlledAllow = []string{"0192f3c4-5a6b-7c8d-9e0f-112233445566"} }, "names no drug"},
		"grace of an hour":           {func(c *Config) { c.Grace.HTTP = time.Hour }, "grace.http"},
	} {
		c := Config{}.WithDefaults()
		row.change(&c)
		err := c.Validate()
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dosewire.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
