package recorder

import (
	"errors"
	"sync"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/signature"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

// maxSignatures is how many Provenance.signature of one Bundle are judged.
const maxSignatures = 4

// formatJOSE is the one Signature.sigFormat that is taken.
const formatJOSE = "application/jose"

// placeHeader is where a signature over the whole body comes in.
const placeHeader = "header"

// judge weighs the signatures on a unit's bytes as its sender's policy asks. It is pure but for the
// cache of parsed anchors. part is true for an entry of a batch Bundle.
//
// The certificates must be valid at the message's own stream time: whoever reads the stream again
// comes to the same verdict, today or in ten years.
func (r *Recorder) judge(u *unit, part bool) {
	if u.refused() || u.kind != "" {
		return
	}
	header := u.message.Header[streams.HeaderSignature]
	policy := signature.Policy(u.sender.Signature)
	if policy == signature.Off {
		u.unread = len(header) > 0 || len(fhir.Signatures(u.doc)) > 0
		return
	}
	anchors, err := r.anchors.of(u.sender)
	var seen []signature.Seen
	switch {
	case len(header) > 0:
		seen = u.judgeHeader(header, part, anchors, err)
	default:
		seen = u.judgeProvenance(anchors, err)
	}
	e := signature.Judge(policy, u.message.Time.UnixMilli(), seen...)
	u.evidence = &e
}

// judgeHeader weighs a signature over the body as received. A batch's entries are recorded one by one:
// a signature over all of them could never be checked again on one.
func (u *unit) judgeHeader(header []string, part bool, anchors *signature.Anchors, err error) []signature.Seen {
	var signer signature.Signer
	switch {
	case err != nil:
	case part:
		err = signature.ErrBatch
	case len(header) > 1:
		err = signature.ErrMalformed
	default:
		signer, err = signature.Verify(header[0], u.body, anchors, u.message.Time)
	}
	return []signature.Seen{signature.NewSeen(placeHeader, header[0], signer, err)}
}

// judgeProvenance weighs the signatures inside a Bundle: each must be good, and what each signs must
// be all that the Bundle asks for.
func (u *unit) judgeProvenance(anchors *signature.Anchors, err error) (all []signature.Seen) {
	for i, s := range fhir.Signatures(u.doc) {
		var signer signature.Signer
		failed := err
		switch {
		case failed != nil:
		case i >= maxSignatures:
			return append(all, signature.NewSeen(s.Expression, "", signer, signature.ErrSize))
		case s.Format != formatJOSE:
			failed = signature.ErrFormat
		case s.Data == nil:
			failed = signature.ErrMalformed
		case s.Content == nil:
			failed = signature.ErrContent
		default:
			signer, failed = signature.Verify(string(s.Data), s.Content, anchors, u.message.Time)
		}
		switch {
		case failed != nil:
		case !signature.Names(signer.Chain[0], identifiers(s.Who)):
			failed = signature.ErrSigner
		case !fhir.Holds(s.Content, u.doc):
			failed = signature.ErrContent
		}
		all = append(all, signature.NewSeen(s.Expression, string(s.Data), signer, failed))
	}
	return all
}

func identifiers(ids []fhir.Identifier) []signature.Identifier {
	all := make([]signature.Identifier, len(ids))
	for i, id := range ids {
		all[i] = signature.Identifier(id)
	}
	return all
}

// denied is why a unit may not be recorded: its sender must sign, and did not.
func (u *unit) denied() error {
	e := u.evidence
	switch {
	case e == nil || e.Policy != signature.Require || e.Verdict == signature.Verified:
		return nil
	case e.Verdict == signature.Absent:
		return fault.Of(fault.CodeSignatureRequired)
	}
	return u.failure()
}

// failure names what is wrong and where.
func (u *unit) failure() *fault.Error {
	place := ""
	for _, s := range u.evidence.Signatures {
		if s.Reason == "" {
			continue
		}
		if place = s.Place; place == placeHeader {
			place = "header " + streams.HeaderSignature
		}
		break
	}
	return fault.Of(u.evidence.Reason.Code()).At(place)
}

// signed tells the sender what came of the signatures on a message that is recorded.
func (t *draft) signed() {
	u := t.unit
	switch e := u.evidence; {
	case u.unread:
		t.inform(fault.CodeSignatureUnread, "")
	case e == nil || e.Verdict == signature.Absent:
	case e.Verdict == signature.Verified:
		t.inform(fault.CodeSigned, "")
	default:
		failed := u.failure()
		t.issues = append(t.issues, fhir.Issue{Severity: "warning", Code: "security", ID: string(failed.Code()), Text: failed.Text(), Expression: failed.Path()})
	}
}

// verdict is the evidence in one word, "" when nothing was judged.
func (u *unit) verdict() string {
	if u.evidence == nil {
		return ""
	}
	return u.evidence.String()
}

// anchorage keeps the parsed anchors of organisations. Safe for concurrent use.
type anchorage struct {
	mu    sync.Mutex // guards byOrg
	byOrg map[ledger.ID]moored
}

type moored struct {
	text    string
	anchors *signature.Anchors
}

// of parses an organisation's anchors when they are new or have changed.
func (a *anchorage) of(org ledger.Organization) (*signature.Anchors, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m, ok := a.byOrg[org.ID]; ok && m.text == org.Anchors {
		return m.anchors, nil
	}
	parsed, err := signature.ParseAnchors([]byte(org.Anchors))
	if err != nil {
		return nil, errors.Join(signature.ErrAnchors, err) // the fact that set them was refused then
	}
	if a.byOrg == nil {
		a.byOrg = map[ledger.ID]moored{}
	}
	a.byOrg[org.ID] = moored{org.Anchors, parsed}
	return parsed, nil
}
