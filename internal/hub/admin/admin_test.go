package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

// fake answers with what it was asked.
type fake struct {
	admin.Keeper
	fail error
}

func (fake) Unlink(_ context.Context, q admin.UnlinkRequest) (admin.Unlinked, error) {
	return admin.Unlinked{Others: len(q.Reason)}, nil
}

func (f fake) KeyStatus(context.Context) (admin.KeyStatus, error) {
	return admin.KeyStatus{Wrapper: "file:1", Generations: []admin.Generation{{Number: 2, Keys: 7, Newest: true}}}, f.fail
}
func (f fake) Prescription(_ context.Context, q admin.PrescriptionOf) (admin.Prescription, error) {
	return admin.Prescription{PrescriptionLine: admin.PrescriptionLine{ID: q.ID, State: "held"}, Claim: 2, History: []admin.Event{{Version: 1, Index: 7, Kind: "issue"}}}, f.fail
}
func (f fake) Prescriptions(_ context.Context, q admin.PrescriptionsOf) ([]admin.PrescriptionLine, error) {
	return []admin.PrescriptionLine{{ID: q.Org, Fills: q.Limit}}, f.fail
}
func (f fake) RotateKeys(context.Context) (admin.Rotation, error) {
	return admin.Rotation{Generation: 2, Stated: true}, f.fail
}
func (f fake) RewrapKeys(_ context.Context, progress func(admin.Progress)) (admin.Rewrap, error) {
	progress(admin.Progress{Entries: 1, Total: 2})
	return admin.Rewrap{Keys: 2, Retired: []int{1}}, f.fail
}

func (f fake) AddOrganization(_ context.Context, o admin.NewOrganization) (admin.Credential, error) {
	return admin.Credential{Kind: o.Kind, Name: o.Name, Token: "secret"}, f.fail
}
func (f fake) Organizations(context.Context) ([]admin.Organization, error) {
	return []admin.Organization{{ID: "1", Identifiers: []string{"a|b"}}}, f.fail
}
func (f fake) SetSignature(_ context.Context, p admin.SignaturePolicy) (admin.Organization, error) {
	return admin.Organization{ID: p.Org, Signature: p.Policy, Anchors: []admin.Anchor{{Subject: p.Anchors}}}, f.fail
}
func (f fake) Invite(_ context.Context, p admin.Patient) (admin.Invitation, error) {
	return admin.Invitation{URL: p.System + "|" + p.Value, Until: time.Unix(1, 0).UTC()}, f.fail
}
func (f fake) Status(context.Context) (admin.Status, error) {
	return admin.Status{Mode: "embedded", Head: admin.Head{Entries: 3}}, f.fail
}
func (f fake) Receipt(_ context.Context, q admin.ReceiptOf) (admin.Receipt, error) {
	return admin.Receipt{Index: 4, Text: q.ID}, f.fail
}
func (f fake) Verify(_ context.Context, q admin.Verification, progress func(admin.Progress)) (admin.Verdict, error) {
	progress(admin.Progress{Entries: 1, Total: 2})
	progress(admin.Progress{Entries: 2, Total: 2})
	return admin.Verdict{Entries: 2, Leaf: q.Root, State: q.State, Bad: &admin.Bad{Entry: 2, Reason: "changed"}}, f.fail
}

func serve(t *testing.T, s admin.Service) *admin.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: admin.NewHandler(s), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return admin.NewClient(socket)
}

func TestRoundTrips(t *testing.T) {
	c, ctx := serve(t, fake{}), t.Context()
	cred, err := c.AddOrganization(ctx, admin.NewOrganization{Kind: "clinic", Name: "A"})
	check(t, err, cred, admin.Credential{Kind: "clinic", Name: "A", Token: "secret"})
	one, err := c.Prescription(ctx, admin.PrescriptionOf{ID: "x"})
	check(t, err, one, admin.Prescription{PrescriptionLine: admin.PrescriptionLine{ID: "x", State: "held"}, Claim: 2, History: []admin.Event{{Version: 1, Index: 7, Kind: "issue"}}})
	lines, err := c.Prescriptions(ctx, admin.PrescriptionsOf{Org: "o", Limit: 3, Within: time.Hour})
	check(t, err, lines, []admin.PrescriptionLine{{ID: "o", Fills: 3}})
	orgs, err := c.Organizations(ctx)
	check(t, err, orgs, []admin.Organization{{ID: "1", Identifiers: []string{"a|b"}}})
	signed, err := c.SetSignature(ctx, admin.SignaturePolicy{Org: "1", Policy: "record", Anchors: "PEM"})
	check(t, err, signed, admin.Organization{ID: "1", Signature: "record", Anchors: []admin.Anchor{{Subject: "PEM"}}})
	link, err := c.Invite(ctx, admin.Patient{System: "s", Value: "v"})
	check(t, err, link, admin.Invitation{URL: "s|v", Until: time.Unix(1, 0).UTC()})
	proof, err := c.Receipt(ctx, admin.ReceiptOf{ID: "x"})
	check(t, err, proof, admin.Receipt{Index: 4, Text: "x"})
	status, err := c.Status(ctx)
	check(t, err, status, admin.Status{Mode: "embedded", Head: admin.Head{Entries: 3}})
	var seen []admin.Progress
	verdict, err := c.Verify(ctx, admin.Verification{State: json.RawMessage(`{"version":1}`), At: 7, Root: "ab"}, func(p admin.Progress) { seen = append(seen, p) })
	check(t, err, verdict, admin.Verdict{Entries: 2, Leaf: "ab", State: json.RawMessage(`{"version":1}`), Bad: &admin.Bad{Entry: 2, Reason: "changed"}})
	check(t, nil, seen, []admin.Progress{{Entries: 1, Total: 2}, {Entries: 2, Total: 2}})
	keys, err := c.KeyStatus(ctx)
	check(t, err, keys, admin.KeyStatus{Wrapper: "file:1", Generations: []admin.Generation{{Number: 2, Keys: 7, Newest: true}}})
	rotation, err := c.RotateKeys(ctx)
	check(t, err, rotation, admin.Rotation{Generation: 2, Stated: true})
	seen = nil
	rewrap, err := c.RewrapKeys(ctx, func(p admin.Progress) { seen = append(seen, p) })
	check(t, err, rewrap, admin.Rewrap{Keys: 2, Retired: []int{1}})
	check(t, nil, seen, []admin.Progress{{Entries: 1, Total: 2}})
}

func check[T any](t *testing.T, err error, got, want T) {
	t.Helper()
	if err != nil {
		t.Errorf("%T: %v", want, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%T (-want +got):\n%s", want, diff)
	}
}

func TestRefusalsKeepKindAndCode(t *testing.T) {
	own := fault.New(fault.NotFound, "hub: no such patient")
	for _, fail := range []error{fault.Of(fault.CodeIdentifierUse), own, fault.Of(fault.CodeBusy)} {
		c := serve(t, fake{fail: fail})
		_, addErr := c.AddOrganization(t.Context(), admin.NewOrganization{})
		_, verifyErr := c.Verify(t.Context(), admin.Verification{}, nil)
		for name, err := range map[string]error{"add": addErr, "verify": verifyErr} {
			if !errors.Is(err, fail) || fault.KindOf(err) != fault.KindOf(fail) {
				t.Errorf("%s: got %v, want %v", name, err, fail)
			}
		}
	}
}

func TestStrangersTextStaysInside(t *testing.T) {
	_, err := serve(t, fake{fail: errors.New("name: Zyxwina Canary")}).Status(t.Context())
	if err == nil || fault.KindOf(err) != fault.Internal || err.Error() != "unclassified" {
		t.Errorf("err = %v", err)
	}
}

func TestNobodyRunning(t *testing.T) {
	c := admin.NewClient(filepath.Join(t.TempDir(), "none"))
	if _, err := c.Status(t.Context()); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("err = %v, want ErrNotRunning", err)
	}
	if c.Running(t.Context()) {
		t.Error("Running = true")
	}
}
