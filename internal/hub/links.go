package hub

import (
	"context"
	"fmt"

	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/recorder"
)

// Unlink repairs: it takes a patient out of the person to whom they were joined, for a reason that is recorded.
// The organisations are not told. ErrReason, ErrPatient, fault.CodeOrganization.
func (h *Hub) Unlink(ctx context.Context, q admin.UnlinkRequest) (admin.Unlinked, error) {
	if !q.DryRun && (q.Reason == "" || len(q.Reason) > 500) {
		return admin.Unlinked{}, ErrReason
	}
	who, err := h.locate(ctx, q.Patient)
	if err != nil {
		return admin.Unlinked{}, err
	}
	together, err := h.databases.records.Linked(ctx, []ledger.ID{who.Patient})
	if err != nil {
		return admin.Unlinked{}, fmt.Errorf("hub: links: %w", err)
	}
	out := admin.Unlinked{DryRun: q.DryRun, Others: max(len(together[who.Patient])-1, 0)}
	if q.DryRun || out.Others == 0 {
		return out, nil
	}
	by := q.By
	if by == "" || by == recorder.ByPatient {
		by = "operator"
	}
	answer, err := h.accepted(ctx, recorder.FactUnlink, recorder.UnlinkFact{Patient: who.Patient, By: by, Reason: q.Reason})
	out.Entry = answer.Index
	return out, err
}
