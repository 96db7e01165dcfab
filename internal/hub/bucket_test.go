package hub

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/adapters/all"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger/awskms/kmstest"
	"github.com/dosewire/dosewire/ledger/awss3/s3test"
	"github.com/dosewire/dosewire/ledger/notary"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

// inAWS is the configuration of a hub whose notary signs with KMS and publishes in S3.
func inAWS(t *testing.T, c Config) (*kmstest.Server, *s3test.Server, Config) {
	t.Helper()
	kms, c := withKMS(t, c)
	s3 := s3test.New("rx-log", time.Now)
	served := httptest.NewServer(s3)
	t.Cleanup(served.Close)
	c.Notary = Notary{KMS: kms.NewSigningKey(), KMSEndpoint: c.Keys.KMSEndpoint, Interval: 50 * time.Millisecond,
		S3: S3{Bucket: "rx-log", Region: "eu-central-1", Prefix: "log/", RetainDays: 30, Endpoint: served.URL}}
	return kms, s3, c
}

// awaitReceipt asks for the receipt of a prescription until there is one.
func awaitReceipt(t *testing.T, h *Hub, clinic admin.Credential, rx string) []byte {
	t.Helper()
	var status int
	var body string
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) { // between two looks
		if status, body = fetched(t, h, clinic, "/fhir/MedicationRequest/"+rx+"/$receipt"); status == http.StatusOK {
			return []byte(body)
		}
	}
	t.Fatalf("no receipt: %d %s", status, body)
	return nil
}

func fetched(t *testing.T, h *Hub, who admin.Credential, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+who.Token)
	status, body := do(t, r)
	return status, string(body)
}

// TestNotaryInAWS: a hub signs with KMS, publishes in S3 under Object Lock and makes receipts from there;
// both fail for a while, and recording goes on; a notary apart goes on where the hub's ended.
func TestNotaryInAWS(t *testing.T) {
	kms, s3, c := inAWS(t, lab(t))
	h, stop := run(t, c, all.List()...)
	clinic, err := admin.NewClient(h.AdminSocket()).AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	rx := prescribe(t, h, clinic, 1)
	first := awaitReceipt(t, h, clinic, rx)
	text, err := c.WithDefaults().Notary.trustPolicy()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := trust.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	proven, err := receipt.Verify(first, policy, nil)
	if err != nil {
		t.Fatalf("receipt: %v", err)
	}

	s3.Trouble(s3test.Trouble{Code: "SlowDown", Status: http.StatusServiceUnavailable, Times: 30})
	kms.Trouble(kmstest.Trouble{Code: "ThrottlingException", Times: 10})
	for n := range 20 {
		prescribe(t, h, clinic, n+2)
	}
	if err := stop(); err != nil {
		t.Errorf("hub: %v", err)
	}
	s3.Trouble(s3test.Trouble{})
	kms.Trouble(kmstest.Trouble{})

	var last notary.Status
	for range 3 { // the hub's last tick may have ended in the trouble
		err = Notarize(t.Context(), c, NotaryOptions{Once: true, Log: io.Discard, Status: func(s notary.Status) { last = s }})
	}
	if err != nil || last.Published < 22 || last.Published <= proven.Size {
		t.Errorf("a notary apart: %v, %+v", err, last)
	}
	published, err := Published(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, res, err := (receipt.Walker{Tiles: published, Judge: policy.Open}).Walk(t.Context(), receipt.State{}); err != nil || res.Walked != last.Published {
		t.Errorf("what is published: %+v, %v", res, err)
	}
	if v, err := VerifyStore(t.Context(), c, admin.Verification{}, nil); err != nil || v.Bad != nil {
		t.Errorf("database: %+v, %v", v, err)
	}
	for _, key := range []string{"log/checkpoint", "log/tile/entries/000.p/1"} {
		for _, v := range s3.Versions(key) {
			if v.Mode != "COMPLIANCE" || v.Until.Before(time.Now().Add(29*24*time.Hour)) {
				t.Errorf("%s: %s until %v", key, v.Mode, v.Until)
			}
		}
	}
	if n := len(s3.Versions("log/checkpoint")); n < 2 {
		t.Errorf("%d versions of the checkpoint", n)
	}
	if _, err := os.Stat(c.WithDefaults().Notary.Folder + "/tiles"); err == nil {
		t.Error("there is a folder of tiles too")
	}
	if _, err := os.Stat(c.WithDefaults().Notary.Key); err == nil {
		t.Error("there is a key file too")
	}
}

// TestBucketIsAStorage holds what notary.Storage promises, lost answers included.
func TestBucketIsAStorage(t *testing.T) {
	_, s3, c := inAWS(t, lab(t))
	b, err := openBucket(t.Context(), c.Notary.S3)
	if err != nil {
		t.Fatal(err)
	}
	ctx, a, z := t.Context(), []byte("a"), []byte("z")
	must := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err = b.Get(ctx, "x")
	must("get nothing", err, notary.ErrNoObject)
	_, err = b.Read(ctx, "x")
	must("read nothing", err, os.ErrNotExist)
	must("replace nothing that is not there", b.Replace(ctx, "x", a, z), notary.ErrMoved)
	must("create", b.Create(ctx, "x", a), nil)
	must("create the same", b.Create(ctx, "x", a), nil)
	must("create another", b.Create(ctx, "x", z), notary.ErrDiffers)
	must("replace what is there with nothing in mind", b.Replace(ctx, "x", nil, z), notary.ErrMoved)
	must("replace another", b.Replace(ctx, "x", z, a), notary.ErrMoved)
	must("replace", b.Replace(ctx, "x", a, z), nil)
	s3.Trouble(s3test.Trouble{Lost: true, Times: 1})
	must("create, answer lost", b.Create(ctx, "y", a), nil)
	must("first of a register", b.Replace(ctx, "r", nil, a), nil)
	if got, err := b.Read(ctx, "r"); err != nil || string(got) != "a" {
		t.Errorf("read: %q, %v", got, err)
	}
	s3.Trouble(s3test.Trouble{Lost: true, Times: 2}) // the answers to Get and to the first Put
	must("replace, answer lost", b.Replace(ctx, "r", a, z), nil)
	if n := len(s3.Versions("log/r")); n != 2 {
		t.Errorf("%d versions after a lost answer, want 2", n)
	}
	cut, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Create(cut, "q", a); err == nil {
		t.Error("a call that was stopped succeeded")
	}
}

func TestNotaryConfiguration(t *testing.T) {
	for text, says := range map[string]string{
		"notary: {s3: {prefix: log/}}":                                           "notary.s3 needs notary.s3.bucket",
		"notary: {s3: {bucket: b}}":                                              "needs notary.s3.region",
		"notary: {tiles: /srv/log, s3: {bucket: b, region: r}}":                  "what is published has one place",
		"notary: {s3: {bucket: b, region: r, retainDays: -1}}":                   "retainDays",
		"notary: {kms: alias/x}":                                                 "notary.kms is not the ARN",
		"notary: {kmsEndpoint: 'https://kms.example'}":                           "notary.kmsEndpoint needs notary.kms",
		"notary: {tiles: 'https://log.example', s3: {bucket: b, region: eu}}":    "",
		"notary: {folder: /srv/notary, policy: /etc/trust.policy, interval: 2s}": "",
	} {
		_, err := Load(write(t, text), nil)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	c := Config{Data: "/d"}.WithDefaults()
	if c.Notary.Tiles != "/d/notary/tiles" || c.Notary.Policy != "/d/notary/trust.policy" || c.Notary.publishDir() != c.Notary.Tiles {
		t.Errorf("defaults: %+v", c.Notary)
	}
	if c := (Config{Data: "/d", Notary: Notary{Tiles: "https://log.example/t"}}).WithDefaults(); c.Notary.publishDir() != "/d/notary/tiles" {
		t.Errorf("published in %s", c.Notary.publishDir())
	}
}
