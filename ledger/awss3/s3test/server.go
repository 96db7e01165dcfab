package s3test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Version is one version of an object.
type Version struct {
	ID          string
	Data        []byte
	ETag        string
	ContentType string
	Mode        string    // COMPLIANCE, GOVERNANCE or ""
	Until       time.Time // of the lock
	Marker      bool      // a delete marker
}

// Trouble is what happens to requests instead of an answer, or before it.
type Trouble struct {
	Code   string // such as SlowDown; "" = none
	Status int    // HTTP status with Code
	Cut    bool   // the connection is closed before anything is done
	Lost   bool   // the request is done, and the answer is lost
	Delay  time.Duration
	Times  int // how many requests; 0 = all from now on
}

// Server is the endpoint of one bucket with versioning and Object Lock. Make it with New.
type Server struct {
	bucket string
	now    func() time.Time

	mu       sync.Mutex // guards all below
	objects  map[string][]Version
	serial   int
	trouble  Trouble
	left     int
	requests int
}

// New is an empty bucket. now is for locks.
func New(bucket string, now func() time.Time) *Server {
	return &Server{bucket: bucket, now: now, objects: map[string][]Version{}}
}

// Versions are those of an object, oldest first.
func (s *Server) Versions(key string) []Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Version(nil), s.objects[key]...)
}

// Trouble makes the next requests fail. The zero Trouble ends it.
func (s *Server) Trouble(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble, s.left = t, t.Times
}

// Requests is how many came so far.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// problem is an error as S3 writes it.
type problem struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	status  int
}

func refusal(status int, code string) *problem {
	return &problem{Code: code, Message: code, status: status}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	t, troubled := s.next()
	if troubled && t.Delay > 0 {
		select {
		case <-time.After(t.Delay):
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case err != nil, troubled && t.Cut:
		panic(http.ErrAbortHandler) // net/http closes the connection
	case troubled && t.Code != "":
		refuse(w, r, refusal(max(t.Status, http.StatusBadRequest), t.Code))
		return
	}
	key, p := s.address(r)
	if p == nil {
		body, p = contents(r, body)
	}
	if p != nil {
		refuse(w, r, p)
		return
	}
	s.mu.Lock()
	v, p := s.do(r, key, body)
	s.mu.Unlock()
	switch {
	case troubled && t.Lost:
		panic(http.ErrAbortHandler)
	case p != nil:
		refuse(w, r, p)
	default:
		answer(w, r, v)
	}
}

func (s *Server) next() (Trouble, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	t := s.trouble
	if t == (Trouble{}) || t.Times > 0 && s.left == 0 {
		return t, false
	}
	s.left--
	return t, true
}

// address checks the signature's presence and returns the object's key.
func (s *Server) address(r *http.Request) (string, *problem) {
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=") || !strings.Contains(auth, "/s3/aws4_request") ||
		!strings.Contains(auth, "Signature=") || r.Header.Get("X-Amz-Date") == "" || r.Header.Get("X-Amz-Content-Sha256") == "" {
		return "", refusal(http.StatusForbidden, "AccessDenied")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != s.bucket {
		return "", refusal(http.StatusNotFound, "NoSuchBucket")
	}
	return key, nil
}

// contents is the body without the framing of aws-chunked, its checksums checked.
func contents(r *http.Request, body []byte) ([]byte, *problem) {
	sum := r.Header.Get("X-Amz-Checksum-Crc32")
	if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		var trailer string
		var ok bool
		if body, trailer, ok = unchunk(body); !ok {
			return nil, refusal(http.StatusBadRequest, "IncompleteBody")
		}
		if name, value, found := strings.Cut(trailer, ":"); found && strings.EqualFold(name, "x-amz-checksum-crc32") {
			sum = strings.TrimSpace(value)
		}
	} else if h := r.Header.Get("X-Amz-Content-Sha256"); len(h) == 2*sha256.Size {
		if got := sha256.Sum256(body); hex.EncodeToString(got[:]) != h {
			return nil, refusal(http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		}
	}
	if sum != "" {
		want := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
		if base64.StdEncoding.EncodeToString(want) != sum {
			return nil, refusal(http.StatusBadRequest, "BadDigest")
		}
	}
	return body, nil
}

// unchunk reads size CRLF data CRLF … 0 CRLF trailer CRLF.
func unchunk(b []byte) (data []byte, trailer string, ok bool) {
	for {
		line, rest, found := bytes.Cut(b, []byte("\r\n"))
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if !found || err != nil || n < 0 || int(n) > len(rest) {
			return nil, "", false
		}
		if n == 0 {
			return data, strings.TrimSpace(string(rest)), true
		}
		data = append(data, rest[:n]...)
		if b, found = bytes.CutPrefix(rest[n:], []byte("\r\n")); !found {
			return nil, "", false
		}
	}
}

func answer(w http.ResponseWriter, r *http.Request, v Version) {
	h := w.Header()
	h.Set("X-Amz-Version-Id", v.ID)
	if v.ETag != "" {
		h.Set("ETag", v.ETag)
	}
	if v.Mode != "" {
		h.Set("X-Amz-Object-Lock-Mode", v.Mode)
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", v.Until.Format(time.RFC3339))
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", v.ContentType)
		h.Set("Content-Length", strconv.Itoa(len(v.Data)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(v.Data) // the client has gone
		}
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	}
}

func refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_ = xml.NewEncoder(w).Encode(p) // the client has gone
	}
}
