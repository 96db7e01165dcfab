package awss3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/awss3"
	"github.com/dosewire/dosewire/ledger/awss3/s3test"
)

const bucket = "audit-log"

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func endpoint(t testing.TB) (*s3test.Server, string) {
	t.Helper()
	s := s3test.New(bucket, func() time.Time { return now })
	served := httptest.NewServer(s)
	t.Cleanup(served.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", strings.Repeat("s", 40)) // as long as AWS's
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return s, served.URL
}

func open(t testing.TB, url string, change func(*awss3.Config)) *awss3.Bucket {
	t.Helper()
	c := awss3.Config{Bucket: bucket, Region: "eu-central-1", Prefix: "log/", Endpoint: url, Retain: 24 * time.Hour,
		Timeout: 4 * time.Second, Pause: 20 * time.Millisecond, Now: func() time.Time { return now }}
	if change != nil {
		change(&c)
	}
	b, err := awss3.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return b
}

func TestCreateNeverReplaces(t *testing.T) {
	s, url := endpoint(t)
	b := open(t, url, nil)
	const path = "tile/0/000"
	if _, _, err := b.Get(t.Context(), path); !errors.Is(err, awss3.ErrNotFound) || fault.KindOf(err) != fault.NotFound {
		t.Errorf("Get nothing: %v, want ErrNotFound", err)
	}
	tag, err := b.Create(t.Context(), path, []byte("tile"))
	if err != nil || tag == "" {
		t.Fatalf("Create: %q, %v", tag, err)
	}
	if again, err := b.Create(t.Context(), path, []byte("tile")); err != nil || again != tag {
		t.Errorf("the same again: %q, %v", again, err)
	}
	if _, err := b.Create(t.Context(), path, []byte("TILE")); !errors.Is(err, awss3.ErrExists) || fault.KindOf(err) != fault.Conflict {
		t.Errorf("other bytes: %v, want ErrExists", err)
	}
	got, read, err := b.Get(t.Context(), path)
	if err != nil || string(got) != "tile" || read != tag {
		t.Errorf("Get: %q, %q, %v", got, read, err)
	}
	versions := s.Versions("log/" + path)
	if len(versions) != 1 {
		t.Fatalf("%d versions, want 1", len(versions))
	}
	if v := versions[0]; v.Mode != "COMPLIANCE" || !v.Until.Equal(now.Add(24*time.Hour)) || v.ContentType != "application/octet-stream" {
		t.Errorf("stored as %+v", v)
	}
}

func TestReplaceComparesAndSwaps(t *testing.T) {
	s, url := endpoint(t)
	b := open(t, url, nil)
	first, err := b.Replace(t.Context(), "checkpoint", []byte("1"), "")
	if err != nil {
		t.Fatalf("Replace nothing: %v", err)
	}
	second, err := b.Replace(t.Context(), "checkpoint", []byte("2"), first)
	if err != nil || second == first {
		t.Fatalf("Replace: %q, %v", second, err)
	}
	if _, err := b.Replace(t.Context(), "checkpoint", []byte("3"), first); !errors.Is(err, awss3.ErrChanged) {
		t.Errorf("Replace what was replaced: %v, want ErrChanged", err)
	}
	if _, err := b.Replace(t.Context(), "checkpoint", []byte("3"), ""); !errors.Is(err, awss3.ErrExists) {
		t.Errorf("Replace as if new: %v, want ErrExists", err)
	}
	if got, _, err := b.Get(t.Context(), "checkpoint"); err != nil || string(got) != "2" {
		t.Errorf("Get: %q, %v", got, err)
	}
	versions := s.Versions("log/checkpoint")
	if len(versions) != 2 || versions[0].Mode != "COMPLIANCE" || versions[1].ContentType != "text/plain; charset=utf-8" {
		t.Errorf("versions: %+v", versions)
	}
}

// TestOneOfManyWins races writers for one checkpoint, each with the tag that it read.
func TestOneOfManyWins(t *testing.T) {
	s, url := endpoint(t)
	b := open(t, url, nil)
	if _, err := b.Create(t.Context(), "checkpoint", []byte("0")); err != nil {
		t.Fatal(err)
	}
	const writers, rounds = 8, 5
	var wins atomic.Int64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := 0; j < rounds; {
				_, tag, err := b.Get(t.Context(), "checkpoint")
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				switch _, err = b.Replace(t.Context(), "checkpoint", fmt.Appendf(nil, "%d.%d", i, j), tag); {
				case err == nil:
					wins.Add(1)
					j++
				case !errors.Is(err, awss3.ErrChanged):
					t.Errorf("Replace: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := int64(len(s.Versions("log/checkpoint"))) - 1; n != wins.Load() || n != writers*rounds {
		t.Errorf("%d versions, %d wins, want %d of both", n, wins.Load(), writers*rounds)
	}
}

// TestLocked: what was published cannot be deleted, not even by its writer, until the lock ends.
func TestLocked(t *testing.T) {
	s, url := endpoint(t)
	b := open(t, url, nil)
	if _, err := b.Create(t.Context(), "tile/0/000", []byte("tile")); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-central-1"))
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &url, true })
	version := s.Versions("log/tile/0/000")[0]
	remove := func() error {
		_, err := client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("log/tile/0/000"), VersionId: &version.ID})
		return err
	}
	if err := remove(); err == nil || len(s.Versions("log/tile/0/000")) != 1 {
		t.Errorf("a locked version was deleted: %v", err)
	}
	defer func(was time.Time) { now = was }(now)
	now = now.Add(25 * time.Hour)
	if err := remove(); err != nil || len(s.Versions("log/tile/0/000")) != 0 {
		t.Errorf("after the lock: %v", err)
	}
}

func TestTroubles(t *testing.T) {
	s, url := endpoint(t)
	b := open(t, url, nil)
	for _, tt := range []struct {
		name    string
		trouble s3test.Trouble
		want    error // nil = not seen
	}{
		{"slow down, passing", s3test.Trouble{Code: "SlowDown", Status: 503, Times: 2}, nil},
		{"slow down", s3test.Trouble{Code: "SlowDown", Status: 503}, awss3.ErrDown},
		{"500", s3test.Trouble{Code: "InternalError", Status: 500}, awss3.ErrDown},
		{"cut, passing", s3test.Trouble{Cut: true, Times: 2}, nil},
		{"cut", s3test.Trouble{Cut: true}, awss3.ErrDown},
		{"the answer is lost", s3test.Trouble{Lost: true, Times: 1}, nil},
		{"slow", s3test.Trouble{Delay: 10 * time.Second}, awss3.ErrDown},
		{"denied", s3test.Trouble{Code: "AccessDenied", Status: 403}, awss3.ErrDenied},
		{"two conditional writes met", s3test.Trouble{Code: "ConditionalRequestConflict", Status: 409, Times: 1}, awss3.ErrChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Trouble(tt.trouble)
			defer s.Trouble(s3test.Trouble{})
			began := time.Now()
			_, err := b.Create(t.Context(), "tile/"+strings.ReplaceAll(tt.name, " ", "-"), []byte(tt.name))
			if tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Errorf("Create: %v, want %v", err, tt.want)
			}
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	_, url := endpoint(t)
	other := open(t, url, func(c *awss3.Config) { c.Bucket = "nobodys" })
	if _, _, err := other.Get(t.Context(), "x"); !errors.Is(err, awss3.ErrConfig) {
		t.Errorf("another bucket: %v, want ErrConfig", err)
	}
	for name, c := range map[string]awss3.Config{"no bucket": {Region: "x"}, "no region": {Bucket: "x"}, "prefix": {Bucket: "x", Region: "x", Prefix: "/a"},
		"endpoint": {Bucket: "x", Region: "x", Endpoint: "s3.example"}} {
		if _, err := awss3.Open(t.Context(), c); !errors.Is(err, awss3.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	resp, err := http.Get(url + "/" + bucket + "/x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("an unsigned request: %d", resp.StatusCode)
	}
	if b := open(t, url, nil); b != nil {
		big := bytes.Repeat([]byte{7}, 1<<20)
		if _, err := b.Create(t.Context(), "big", big); err != nil {
			t.Errorf("1 MiB: %v", err)
		}
		if got, _, err := b.Get(t.Context(), "big"); err != nil || !bytes.Equal(got, big) {
			t.Errorf("1 MiB: %d bytes, %v", len(got), err)
		}
	}
}
