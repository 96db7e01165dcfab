package awss3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/dosewire/dosewire/internal/fault"
)

// maxAttempts bounds how often a request is tried.
const maxAttempts = 5

// MaxObject is the largest object that Get returns, bytes: far more than a tile or a bundle.
const MaxObject = 64 << 20

// Config names a bucket.
type Config struct {
	Bucket string
	Region string
	// Prefix comes before every path, such as "log/"; "" = none.
	Prefix string
	// Endpoint is the URL of a private endpoint; "" means AWS's own. Objects are then addressed by path.
	Endpoint string
	// Retain is how long each object is locked in compliance mode; 0 = no lock.
	Retain time.Duration
	// Timeout is how long a call may take with all its attempts, 30s by default; Pause the longest
	// pause between two attempts, 1s by default.
	Timeout, Pause time.Duration
	Now            func() time.Time // time.Now when nil
}

// What S3 says, by what one can do about it.
var (
	ErrConfig   = fault.New(fault.Invalid, "awss3: bucket, region or endpoint is missing or wrong")
	ErrNotFound = fault.New(fault.NotFound, "awss3: there is no such object")
	// ErrExists: another writer created the object, with other bytes.
	ErrExists = fault.New(fault.Conflict, "awss3: the object exists already with other contents")
	// ErrChanged: another writer replaced or removed the object since its tag was read.
	ErrChanged = fault.New(fault.Conflict, "awss3: the object was changed by another writer")
	ErrDenied  = fault.New(fault.Denied, "awss3: S3 refuses us; allow s3:PutObject, s3:PutObjectRetention and s3:GetObject on the bucket, and look at the role's credentials and at the bucket's Object Lock")
	ErrDown    = fault.New(fault.Unavailable, "awss3: S3 cannot be reached now; look at the network, the endpoint and AWS's health page")
	ErrTooLong = fault.New(fault.Tampered, "awss3: the object is larger than anything that is published")
)

// Bucket is the storage of one log.
type Bucket struct {
	s3      *s3.Client
	config  Config
	timeout time.Duration
	now     func() time.Time
}

// Tag identifies the contents of an object as S3 stores them (its ETag). The zero Tag means that there
// is no object.
type Tag string

// Open prepares a bucket. Credentials are the SDK's default chain. Nothing is asked of S3 yet.
func Open(ctx context.Context, c Config) (*Bucket, error) {
	if c.Bucket == "" || c.Region == "" || strings.HasPrefix(c.Prefix, "/") || c.Retain < 0 {
		return nil, ErrConfig
	}
	b := &Bucket{config: c, timeout: 30 * time.Second, now: time.Now}
	if c.Timeout > 0 {
		b.timeout = c.Timeout
	}
	if c.Now != nil {
		b.now = c.Now
	}
	pause := time.Second
	if c.Pause > 0 {
		pause = c.Pause
	}
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.Region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(b.timeout/2)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, pause })
		}))
	if err != nil {
		return nil, ErrConfig.Wrap(err)
	}
	if c.Endpoint != "" {
		if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return nil, ErrConfig
		}
	}
	b.s3 = s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.DisableLogOutputChecksumValidationSkipped = true // private endpoints store none
		if c.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &c.Endpoint, true
		}
	})
	return b, nil
}

// Create writes an object that must not exist. It succeeds when the object exists with the same bytes:
// whoever publishes may publish again. ErrExists for other bytes.
func (b *Bucket) Create(ctx context.Context, path string, data []byte) (Tag, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	tag, err := b.put(ctx, path, data, func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	if !errors.Is(err, ErrChanged) {
		return tag, err
	}
	stored, tag, err := b.get(ctx, path)
	switch {
	case errors.Is(err, ErrNotFound): // it was there a moment ago: somebody deletes
		return "", ErrChanged
	case err != nil:
		return "", err
	case !bytes.Equal(stored, data):
		return "", fmt.Errorf("awss3: create %s: %w", path, ErrExists)
	}
	return tag, nil
}

// Replace writes an object whose present contents are those of old. The zero old is Create.
// ErrChanged when another writer was faster. A lost answer may hide a success: after ErrChanged or
// ErrDown, Get and look.
func (b *Bucket) Replace(ctx context.Context, path string, data []byte, old Tag) (Tag, error) {
	if old == "" {
		return b.Create(ctx, path, data)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	tag, err := b.put(ctx, path, data, func(in *s3.PutObjectInput) { in.IfMatch = aws.String(string(old)) })
	if errors.Is(err, ErrNotFound) {
		return "", ErrChanged.Wrap(err)
	}
	return tag, err
}

// Get reads an object and its tag. ErrNotFound.
func (b *Bucket) Get(ctx context.Context, path string) ([]byte, Tag, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.get(ctx, path)
}

func (b *Bucket) put(ctx context.Context, path string, data []byte, condition func(*s3.PutObjectInput)) (Tag, error) {
	in := &s3.PutObjectInput{Bucket: &b.config.Bucket, Key: aws.String(b.config.Prefix + path), Body: bytes.NewReader(data),
		ContentType: aws.String(contentType(path)), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}
	if b.config.Retain > 0 {
		in.ObjectLockMode = types.ObjectLockModeCompliance
		in.ObjectLockRetainUntilDate = aws.Time(b.now().Add(b.config.Retain).UTC())
	}
	condition(in)
	out, err := b.s3.PutObject(ctx, in)
	if err != nil {
		return "", fmt.Errorf("awss3: put %s: %w", path, refuse(err))
	}
	return Tag(aws.ToString(out.ETag)), nil
}

func (b *Bucket) get(ctx context.Context, path string) ([]byte, Tag, error) {
	out, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.config.Bucket, Key: aws.String(b.config.Prefix + path)})
	if err != nil {
		return nil, "", fmt.Errorf("awss3: get %s: %w", path, refuse(err))
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, MaxObject+1))
	if err != nil {
		return nil, "", fmt.Errorf("awss3: get %s: %w", path, ErrDown.Wrap(err))
	}
	if len(data) > MaxObject {
		return nil, "", ErrTooLong
	}
	return data, Tag(aws.ToString(out.ETag)), nil
}

// contentType is that of C2SP tlog-tiles: checkpoints and proofs are text, all else is bytes.
func contentType(path string) string {
	if path == "checkpoint" || strings.HasSuffix(path, "/checkpoint") || strings.HasSuffix(path, ".txt") {
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// refuse gives an error of the SDK its kind.
func refuse(err error) error {
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		switch code := r.HTTPStatusCode(); {
		case code == 404 && isCode(err, "NoSuchKey", "NotFound"):
			return ErrNotFound.Wrap(err)
		case code == 412, code == 409: // condition failed; or two conditional writes met
			return ErrChanged.Wrap(err)
		case code == 401, code == 403:
			return ErrDenied.Wrap(err)
		case code == 400, code == 404:
			return ErrConfig.Wrap(err)
		}
	}
	return ErrDown.Wrap(err)
}

func isCode(err error, codes ...string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if api.ErrorCode() == c {
			return true
		}
	}
	return false
}
