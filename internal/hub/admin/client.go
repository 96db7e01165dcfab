package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"github.com/dosewire/dosewire/internal/fault"
)

// ErrNotRunning: nobody answers at the socket.
var ErrNotRunning = fault.New(fault.Unavailable, "no hub is running here")

// Client asks a running hub. Safe for concurrent use.
type Client struct {
	http   *http.Client
	socket string
}

// NewClient speaks to the hub at this socket. Nothing is dialled before the first call.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}}, socket}
}

// AddOrganization, Organizations, Invite and Status are as in Service; ErrNotRunning beside its errors.
func (c *Client) AddOrganization(ctx context.Context, o NewOrganization) (cred Credential, err error) {
	return cred, c.call(ctx, http.MethodPost, "/organizations", o, &cred)
}

func (c *Client) Organizations(ctx context.Context) (all []Organization, err error) {
	return all, c.call(ctx, http.MethodGet, "/organizations", nil, &all)
}

// SetSignature is as in Service.
func (c *Client) SetSignature(ctx context.Context, p SignaturePolicy) (o Organization, err error) {
	return o, c.call(ctx, http.MethodPost, "/organizations/signature", p, &o)
}

func (c *Client) Invite(ctx context.Context, who Patient) (i Invitation, err error) {
	return i, c.call(ctx, http.MethodPost, "/invitations", who, &i)
}

func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// Receipt is as in Service.
func (c *Client) Receipt(ctx context.Context, q ReceiptOf) (r Receipt, err error) {
	return r, c.call(ctx, http.MethodPost, "/receipts", q, &r)
}

// Verify is as in Service. progress may be nil.
func (c *Client) Verify(ctx context.Context, q Verification, progress func(Progress)) (Verdict, error) {
	resp, err := c.do(ctx, http.MethodPost, "/verify", q)
	if err != nil {
		return Verdict{}, err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var l line
		if err := d.Decode(&l); err != nil {
			return Verdict{}, fault.New(fault.Unavailable, "admin: the hub stopped while verifying").Wrap(err)
		}
		switch {
		case l.Verdict != nil:
			return *l.Verdict, nil
		case l.Problem != nil:
			return Verdict{}, l.Problem.err()
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		}
	}
}

func (c *Client) call(ctx context.Context, method, path string, question, into any) error {
	resp, err := c.do(ctx, method, path, question)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fault.New(fault.Internal, "admin: the answer is not understood").Wrap(err)
	}
	return nil
}

// do returns the answer to a request that was not refused.
func (c *Client) do(ctx context.Context, method, path string, question any) (*http.Response, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://hub"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	resp, err := c.http.Do(r)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotRunning.Wrap(errors.New("nobody answers at " + c.socket))
	case err != nil:
		return nil, fault.New(fault.Unavailable, "admin: the hub did not answer").Wrap(err)
	case resp.StatusCode >= 300:
		defer resp.Body.Close()
		var p problem
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxRequest)).Decode(&p); err != nil {
			return nil, fault.New(fault.Internal, "admin: the refusal is not understood").Wrap(err)
		}
		return nil, p.err()
	}
	return resp, nil
}

// Running reports whether a hub answers at the socket.
func (c *Client) Running(ctx context.Context) bool {
	_, err := c.Status(ctx)
	return !errors.Is(err, ErrNotRunning)
}
