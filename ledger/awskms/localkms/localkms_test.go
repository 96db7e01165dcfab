package localkms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/dosewire/dosewire/ledger/awskms"
)

const (
	first  = "bc436485-5092-42b8-92a3-0aa8b93536dc"
	second = "bc436485-5092-42b8-92a3-0aa8b93536dd"
	region = "eu-central-1"
)

func arn(id string) string { return "arn:aws:kms:" + region + ":111122223333:key/" + id }

// start runs local-kms with two keys and returns its URL.
func start(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	seed := "Keys:\n  Symmetric:\n    Aes:\n"
	for i, id := range []string{first, second} {
		seed += fmt.Sprintf("      - Metadata:\n          KeyId: %s\n        BackingKeys:\n          - %s\n", id, strings.Repeat(fmt.Sprintf("%02x", i+17), 32))
	}
	if err := os.WriteFile(filepath.Join(dir, "seed.yaml"), []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.Command("go", "tool", "-n", "local-kms").Output() // builds it
	if err != nil {
		t.Fatalf("go tool local-kms: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.Command(strings.TrimSpace(string(path)))
	cmd.Env = append(os.Environ(), "PORT="+strconv.Itoa(port), "KMS_REGION="+region,
		"KMS_SEED_PATH="+filepath.Join(dir, "seed.yaml"), "KMS_DATA_PATH="+filepath.Join(dir, "data"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatalf("local-kms does not listen: %v", err)
		}
	}
}

func TestLocalKMS(t *testing.T) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": strings.Repeat("s", 40),
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(name, value)
	}
	url := start(t)
	open := func(t testing.TB, id string) *awskms.Wrapper {
		w, err := awskms.Open(t.Context(), awskms.Config{Key: arn(id), Endpoint: url, Timeout: 3 * time.Second, Pause: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	blob, err := open(t, first).Wrap(t.Context(), []byte("a deployment key of 32 bytes...."), []byte("purpose"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, first).Unwrap(t.Context(), blob, []byte("purpose")); err != nil || string(got) != "a deployment key of 32 bytes...." {
		t.Errorf("Unwrap: %q, %v", got, err)
	}
	// local-kms writes the key's ARN in front and does not look at it when the request names the key;
	// the 60 bytes of nonce, ciphertext and tag are what it authenticates.
	for i := len(blob) - 60; i < len(blob); i++ {
		changed := slices.Clone(blob)
		changed[i] ^= 0x40
		if _, err := open(t, first).Unwrap(t.Context(), changed, []byte("purpose")); !errors.Is(err, awskms.ErrUnwrap) {
			t.Errorf("byte %d changed: %v, want ErrUnwrap", i, err)
		}
	}
	for _, n := range []int{0, 1, len(blob) - 1} {
		if _, err := open(t, first).Unwrap(t.Context(), blob[:n], []byte("purpose")); !errors.Is(err, awskms.ErrUnwrap) {
			t.Errorf("%d bytes: %v, want ErrUnwrap", n, err)
		}
	}
	if _, err := open(t, second).Unwrap(t.Context(), blob, []byte("purpose")); !errors.Is(err, awskms.ErrUnwrap) {
		t.Errorf("by another key: %v, want ErrUnwrap", err)
	}
	if _, err := open(t, first).Unwrap(t.Context(), blob, []byte("another")); !errors.Is(err, awskms.ErrUnwrap) {
		t.Errorf("another context: %v, want ErrUnwrap", err)
	}
	if _, err := open(t, strings.Repeat("0", 8)+first[8:]).Wrap(t.Context(), []byte("x"), nil); !errors.Is(err, awskms.ErrNoKey) {
		t.Errorf("an absent key: %v, want ErrNoKey", err)
	}
	client := api(t, url)
	id := first
	if _, err := client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &id}); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, first).Unwrap(t.Context(), blob, []byte("purpose")); !errors.Is(err, awskms.ErrDisabled) {
		t.Errorf("disabled: %v, want ErrDisabled", err)
	}
	if _, err := client.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &id}); err != nil {
		t.Fatal(err)
	}
	days := int32(7)
	if _, err := client.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: &days}); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, first).Unwrap(t.Context(), blob, []byte("purpose")); !errors.Is(err, awskms.ErrDeletion) {
		t.Errorf("pending deletion: %v, want ErrDeletion", err)
	}
}

// api is KMS as an administrator uses it.
func api(t *testing.T, url string) *kms.Client {
	t.Helper()
	c, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(region))
	if err != nil {
		t.Fatal(err)
	}
	return kms.NewFromConfig(c, func(o *kms.Options) { o.BaseEndpoint = &url })
}
