package kmstest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Region and Account are those of all keys.
const (
	Region  = "eu-central-1"
	Account = "111122223333"
)

// State of a key, in KMS's words.
type State string

// States that keys are put in by Set.
const (
	Enabled         State = "Enabled"
	Disabled        State = "Disabled"
	PendingDeletion State = "PendingDeletion"
)

// Trouble is what happens to requests instead of an answer, or before it.
type Trouble struct {
	Code   string        // error type such as ThrottlingException; "" = none
	Status int           // HTTP status with Code; 400 when 0
	Delay  time.Duration // before anything else
	Cut    bool          // the connection is closed without an answer
	Times  int           // how many requests; 0 = all from now on
}

// Server is the endpoint. Make it with New and serve it with net/http.
type Server struct {
	mu       sync.Mutex // guards all below
	keys     map[string]*key
	trouble  Trouble
	left     int // of trouble.Times
	requests int
	contexts []map[string]string
}

// key is a symmetric key, or a signing key when private is set.
type key struct {
	id      uuid.UUID
	state   State
	secret  []byte
	private ed25519.PrivateKey
}

func (k *key) arn() string { return "arn:aws:kms:" + Region + ":" + Account + ":key/" + k.id.String() }

// New is an endpoint without keys.
func New() *Server { return &Server{keys: map[string]*key{}} }

// NewKey makes a symmetric key and returns its ARN.
func (s *Server) NewKey() string {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	return s.add(&key{id: uuid.New(), state: Enabled, secret: secret})
}

// NewSigningKey makes a key of spec ECC_NIST_EDWARDS25519 and returns its ARN.
func (s *Server) NewSigningKey() string {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails
	return s.add(&key{id: uuid.New(), state: Enabled, private: ed25519.NewKeyFromSeed(seed)})
}

func (s *Server) add(k *key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.arn()] = k
	return k.arn()
}

// Set puts a key into a state.
func (s *Server) Set(arn string, state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[arn].state = state
}

// Trouble makes the next requests fail. The zero Trouble ends it.
func (s *Server) Trouble(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble, s.left = t, t.Times
}

// Requests is how many came so far, failed ones included.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Contexts are the encryption contexts seen so far: what CloudTrail would show.
func (s *Server) Contexts() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]string(nil), s.contexts...)
}

// problem is an error as KMS writes it.
type problem struct {
	status  int
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func refusal(code, message string) *problem { return &problem{http.StatusBadRequest, code, message} }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, troubled := s.next()
	var q request // read first: then net/http notices a client that goes
	decoded := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q)
	if troubled && t.Delay > 0 {
		select {
		case <-time.After(t.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if troubled && t.Cut {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	if troubled && t.Code != "" {
		answer(w, nil, &problem{max(t.Status, http.StatusBadRequest), t.Code, "on purpose"})
		return
	}
	if p := signed(r); p != nil {
		answer(w, nil, p)
		return
	}
	if decoded != nil {
		answer(w, nil, refusal("SerializationException", "the body is not JSON"))
		return
	}
	out, p := s.do(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService."), q)
	answer(w, out, p)
}

// next counts a request and takes its trouble.
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

// signed looks for what every request to KMS carries.
func signed(r *http.Request) *problem {
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return &problem{http.StatusNotFound, "UnknownOperationException", ""}
	}
	auth := r.Header.Get("Authorization")
	if auth == "" {
		return refusal("MissingAuthenticationTokenException", "Request is missing Authentication Token")
	}
	_, scope, _ := strings.Cut(auth, "AWS4-HMAC-SHA256 Credential=")
	scope, rest, _ := strings.Cut(scope, ",")
	part := strings.Split(scope, "/")
	complete := len(part) == 5 && part[0] != "" && part[2] == Region && part[3] == "kms" && part[4] == "aws4_request" &&
		strings.Contains(rest, "SignedHeaders=") && strings.Contains(rest, "host") && strings.Contains(rest, "x-amz-target") &&
		strings.Contains(rest, "Signature=") && r.Header.Get("X-Amz-Date") != ""
	if !complete {
		return refusal("IncompleteSignature", "the Authorization header is not a Signature Version 4 for kms in "+Region)
	}
	return nil
}

func answer(w http.ResponseWriter, out any, p *problem) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	if p != nil {
		w.WriteHeader(p.status)
		_ = json.NewEncoder(w).Encode(p) // the client has gone
		return
	}
	_ = json.NewEncoder(w).Encode(out) // as above
}
