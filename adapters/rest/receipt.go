package rest

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/streams"
)

// Receipt serves GET MedicationRequest/{id}/$receipt: a C2SP tlog-proof of the record that holds the
// prescription as its clinic last said it, to whoever may read it. A caller who may not see all of that
// message gets no opening: it could guess at the rest. 503 until a checkpoint covers the record.
func (s *Service) Receipt() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := s.locate(r, s.request)
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		who, err := subject(r.Context())
		if err != nil {
			adapters.Refuse(w, err)
			return
		}
		proof, err := s.deps.Records.Prove(r.Context(), reader(who, "receipt"), l.record, func(p adapters.Plain) bool {
			return p.Record.Org == who.Org || l.isWhole(p.Body)
		})
		if err != nil {
			adapters.Refuse(w, unknown(err))
			return
		}
		leaf := proof.Entry.Leaf()
		h := w.Header()
		h.Set("Content-Type", receipt.MediaType)
		h.Set("Content-Disposition", `attachment; filename="`+receipt.FileName(proof.Entry.Index)+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set(streams.HeaderIndex, strconv.FormatUint(proof.Entry.Index, 10))
		h.Set(streams.HeaderLeaf, hex.EncodeToString(leaf[:]))
		_, _ = w.Write(proof.Bytes()) // a client that went away asks again
	})
}

// isWhole reports whether what the caller may see of a message is all of it.
func (l located) isWhole(body []byte) bool {
	if l.item == nil {
		return true
	}
	seen, err := fhir.Slice(body, []int{l.item(body)})
	return err == nil && bytes.Equal(seen, body)
}
