package awskms

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Bounds of every call.
const (
	maxAttempts    = 5
	defaultPause   = time.Second
	defaultAttempt = 5 * time.Second
	defaultTimeout = 30 * time.Second
)

// Config names a key.
type Config struct {
	// Key is the ARN of a KMS key: for Open a symmetric one (SYMMETRIC_DEFAULT), for OpenSigner one of
	// spec ECC_NIST_EDWARDS25519. An alias's ARN is refused: what it points to can change.
	Key string
	// Endpoint is the URL of a private endpoint. "" means AWS's own for the key's region. Plain http is
	// refused unless the host is this machine.
	Endpoint string
	// Attempt is how long one attempt may take, 5s by default, and Timeout all of them, 30s.
	Attempt, Timeout time.Duration
	// Pause is the longest pause between two attempts, 1s by default.
	Pause time.Duration
}

// ErrConfig: the key's ARN or the endpoint is not one.
var ErrConfig = fault.New(fault.Invalid, "awskms: the configuration is wrong")

// Wrapper wraps with a symmetric KMS key.
type Wrapper struct{ client client }

var _ ledger.KeyWrapper = (*Wrapper)(nil)

// Open prepares a wrapper. Credentials are the SDK's default chain: environment, shared files,
// container or instance role. Nothing is asked of KMS yet. ErrConfig.
func Open(ctx context.Context, c Config) (*Wrapper, error) {
	client, err := newClient(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Wrapper{client}, nil
}

// Name is the key's ARN.
func (w *Wrapper) Name() string { return w.client.key }

// Wrap encrypts key, at most 4096 bytes, under the KMS key.
func (w *Wrapper) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	ctx, cancel := w.client.bounded(ctx)
	defer cancel()
	out, err := w.client.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &w.client.key, Plaintext: key, EncryptionContext: encryptionContext(aad)})
	if err != nil {
		return nil, refuse(err)
	}
	return out.CiphertextBlob, nil
}

// Unwrap returns what Wrap was given. ErrUnwrap for any other blob, aad or key. The key is named in
// the request, so that a blob of somebody else's key is not opened by mistake.
func (w *Wrapper) Unwrap(ctx context.Context, blob, aad []byte) ([]byte, error) {
	if len(blob) == 0 {
		return nil, ErrUnwrap
	}
	ctx, cancel := w.client.bounded(ctx)
	defer cancel()
	out, err := w.client.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: &w.client.key, CiphertextBlob: blob, EncryptionContext: encryptionContext(aad)})
	if err != nil {
		return nil, refuse(err)
	}
	return out.Plaintext, nil
}

// encryptionContext is aad as KMS takes it: texts. What is not plain text is written in Base64 under
// another name, so that no two aads have one context.
func encryptionContext(aad []byte) map[string]string {
	if len(aad) == 0 {
		return nil
	}
	for _, b := range aad {
		if b < ' ' || b > '~' {
			return map[string]string{"dosewire-base64": base64.StdEncoding.EncodeToString(aad)}
		}
	}
	return map[string]string{"dosewire": string(aad)}
}

// client is KMS with one key.
type client struct {
	kms     *kms.Client
	key     string
	timeout time.Duration
}

func (c client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}

func newClient(ctx context.Context, c Config) (client, error) {
	key, err := arn.Parse(c.Key)
	if err != nil || key.Service != "kms" || key.Region == "" || !strings.HasPrefix(key.Resource, "key/") {
		return client{}, ErrConfig.Wrap(fault.New(fault.Invalid, "the key is not written arn:aws:kms:REGION:ACCOUNT:key/ID"))
	}
	if c.Attempt <= 0 {
		c.Attempt = defaultAttempt
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Pause <= 0 {
		c.Pause = defaultPause
	}
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(key.Region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(c.Attempt)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, c.Pause })
		}))
	if err != nil {
		return client{}, ErrConfig.Wrap(err)
	}
	var endpoint *string
	if c.Endpoint != "" {
		if err := CheckEndpoint(c.Endpoint); err != nil {
			return client{}, err
		}
		endpoint = &c.Endpoint
	}
	return client{kms.NewFromConfig(loaded, func(o *kms.Options) { o.BaseEndpoint = endpoint }), c.Key, c.Timeout}, nil
}

// CheckEndpoint refuses what is not an https URL, or http to this machine: the deployment key would
// travel in clear.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil {
		return ErrConfig.Wrap(fault.New(fault.Invalid, "the endpoint is not a URL"))
	}
	local := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return ErrConfig.Wrap(fault.New(fault.Invalid, "the endpoint is not https"))
	}
	return nil
}
