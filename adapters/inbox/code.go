package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"rsc.io/qr"

	"github.com/dosewire/dosewire/ledger/collect"
	"github.com/dosewire/dosewire/streams"
)

// codePage is what code.html shows.
type codePage struct {
	prescription
	Offer bool   // the patient may have a code now
	Text  string // the present code in groups of four; "" = there is none
	QR    picture
	Said  said
}

// codeable reports whether a code may be made: while a fill waits, unless the prescriber chose the
// pharmacy or nobody may fill it here.
func (p prescription) codeable() bool {
	return choosable(p.state) && !p.state.Directed && p.codes < math.MaxUint16
}

// code shows the present collect code. It is made again from its locator each time: nothing is stored
// of its secret.
func (a *app) code(w http.ResponseWriter, r *http.Request, s session) {
	p, ok := a.own(w, r, s)
	if !ok {
		return
	}
	if err := a.read(r.Context(), s, []*prescription{&p}); err != nil {
		a.fail(w, r, err)
		return
	}
	page := codePage{prescription: p, Offer: p.codeable(), Said: saidBy(r.URL.Query().Get("said"))}
	if page.Offer && p.state.Code != "" {
		code := collect.Of(a.keys, p.ID, p.state.Code)
		image, err := draw(code.String())
		if err != nil {
			a.fail(w, r, err)
			return
		}
		page.Text, page.QR = inFours(code.Locator)+" . "+inFours(code.Secret), image
	}
	a.render(w, r, http.StatusOK, "code.html", page)
}

// makeCode has the recorder make the next code, which ends the one before it.
func (a *app) makeCode(w http.ResponseWriter, r *http.Request, s session) {
	p, ok := a.own(w, r, s)
	if !ok {
		return
	}
	back := "/inbox/p/" + p.ID.String() + "/code"
	if !p.codeable() {
		http.Redirect(w, r, back+"?said="+saidLate, http.StatusSeeOther)
		return
	}
	word, err := a.open(r.Context(), p)
	switch {
	case err != nil:
		a.fail(w, r, err)
		return
	case word != saidSent:
		back += "?said=" + word
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (a *app) open(ctx context.Context, p prescription) (word string, err error) {
	fact, err := json.Marshal(collect.Fact{Patient: p.row.Patient.String(), Prescription: p.ID.String(), Locator: collect.Locator(p.ID, p.codes+1)})
	if err != nil {
		return "", fmt.Errorf("inbox: code: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("inbox: id: %w", err)
	}
	answer, err := a.submit.Call(ctx, streams.Message{
		ID: "hub." + id.String(), Subject: streams.FactSubject(collect.FactKind), Body: fact,
	}, answerWait)
	return saidAfter(answer, err)
}

// picture is a QR code as one SVG path in a square of Size modules.
type picture struct {
	Size int
	Path string
}

// quiet is the white border that scanners need, modules (ISO/IEC 18004 §5.3.8).
const quiet = 4

func draw(text string) (picture, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return picture{}, fmt.Errorf("inbox: QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				width := strconv.Itoa(n)
				path.WriteString("M" + strconv.Itoa(from+quiet) + " " + strconv.Itoa(y+quiet) + "h" + width + "v1h-" + width + "z")
			}
		}
	}
	return picture{Size: code.Size + 2*quiet, Path: path.String()}, nil
}

// inFours writes a code as one reads it out. Whoever types it may leave the spaces in.
func inFours(text string) string {
	var b strings.Builder
	for i, c := range text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
