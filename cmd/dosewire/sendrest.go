package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/streams"
)

// newSender chooses the transport.
func newSender(ctx context.Context, c admin.Credential, f *sendFlags) (sender, error) {
	if f.nats {
		return newNATSSender(ctx, c)
	}
	return restSender{newREST(c)}, nil
}

// rest is an organisation's HTTP client.
type rest struct {
	admin.Credential
	client *http.Client
}

func newREST(c admin.Credential) rest {
	return rest{c, &http.Client{Timeout: time.Minute}}
}

var errNoAnswer = fault.New(fault.Unavailable, "the hub did not answer")

// do returns the answer and its body.
func (r rest) do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, usageError{err}
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+r.Token)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, nil, errNoAnswer.Wrap(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, nil, errNoAnswer.Wrap(err)
	}
	return resp, answer, nil
}

type restSender struct{ rest }

func (s restSender) close() { s.client.CloseIdleConnections() }

// send posts a Bundle to the base and any other resource to its type. 503 is no answer.
func (s restSender) send(ctx context.Context, m item) (result, error) {
	path := "/fhir"
	if m.kind != "" && m.kind != streams.TypeBundle {
		path += "/" + m.kind
	}
	header := http.Header{"Content-Type": {"application/fhir+json"}, "Idempotency-Key": {m.id}, "Prefer": {"return=OperationOutcome"}}
	if m.signature != "" {
		header.Set(streams.HeaderSignature, m.signature)
	}
	resp, body, err := s.do(ctx, http.MethodPost, path, header, m.body)
	if err != nil {
		return result{}, err
	}
	switch resp.StatusCode {
	case http.StatusServiceUnavailable:
		return result{}, errNoAnswer.Wrap(errors.New(resp.Status))
	case http.StatusUnauthorized:
		return result{}, fault.New(fault.Denied, "the hub does not know this credential")
	}
	h := resp.Header
	return result{Source: m.source, Status: resp.StatusCode, Index: h.Get(streams.HeaderIndex), Rx: h.Get(streams.HeaderID),
		State: h.Get(streams.HeaderState), Location: h.Get("Location"), Signed: h.Get(streams.HeaderVerdict),
		Replayed: h.Get("Idempotent-Replayed") == "true", Issues: remarks(body)}, nil
}

// remarks reads the issues of an OperationOutcome; anything else has none.
func remarks(body []byte) (all []remark) {
	var outcome struct {
		Issue []struct {
			Severity    string
			Expression  []string
			Diagnostics string
			Details     struct {
				Text   string
				Coding []struct{ Code string }
			}
		}
	}
	if json.Unmarshal(body, &outcome) != nil {
		return nil
	}
	for _, i := range outcome.Issue {
		r := remark{Severity: i.Severity, Text: i.Details.Text, At: i.Diagnostics}
		if len(i.Details.Coding) > 0 {
			r.Code = i.Details.Coding[0].Code
		}
		if len(i.Expression) > 0 {
			r.Expression = fmt.Sprint(i.Expression[0])
		}
		all = append(all, r)
	}
	return all
}
