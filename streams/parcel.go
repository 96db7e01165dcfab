package streams

import (
	"encoding/binary"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/internal/fault"
)

// A parcel is one message of RX_INTAKE that carries several: what the hub's own REST surface was posted
// at the same time. The server writes and syncs it once, where the same messages each by itself cost a
// sync each, and an atomic batch costs a store of its own. Only the hub makes parcels; an organisation
// cannot publish to their subject, and whatever else the server could be made to write there has no id
// that begins with hubIDs.
//
// The form is: version=1, then for each message subject, id, number of headers, name and value of each,
// and body. Numbers are uvarints, texts are preceded by their length.
const (
	parcelKind    = "parcel"
	parcelVersion = 1

	// hubIDs begins the Nats-Msg-Id of what the hub itself says. No organisation's id begins so.
	hubIDs = "hub."

	// Limits of one parcel. A message of more than parcelEach bytes travels alone.
	parcelMessages = 500
	parcelBytes    = 512 << 10
	parcelEach     = 64 << 10
)

var errParcel = fault.New(fault.Internal, "streams: malformed parcel")

// isParcel tells whether a stored message is one.
func isParcel(subject, id string) bool {
	return subject == FactSubject(parcelKind) && strings.HasPrefix(id, hubIDs)
}

// pack makes the body of a parcel.
func pack(messages []Message) []byte {
	n := 1
	for _, m := range messages {
		n += len(m.Subject) + m.size() + 32 // a little too much rather than moved once more
	}
	b := append(make([]byte, 0, n), parcelVersion)
	for _, m := range messages {
		b = appendText(appendText(b, m.Subject), m.ID)
		count := 0
		for _, values := range m.Header {
			count += len(values)
		}
		b = binary.AppendUvarint(b, uint64(count))
		for name, values := range m.Header {
			for _, v := range values {
				b = appendText(appendText(b, name), v)
			}
		}
		b = append(binary.AppendUvarint(b, uint64(len(m.Body))), m.Body...)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unpack is the reverse of pack. The bodies are parts of b.
func unpack(b []byte) ([]Message, error) {
	if len(b) == 0 || b[0] != parcelVersion {
		return nil, errParcel
	}
	u := unpacker{rest: b[1:]}
	var messages []Message
	for len(u.rest) > 0 && !u.bad {
		m := Message{Subject: string(u.text()), ID: string(u.text())}
		for n := u.number(); n > 0 && !u.bad; n-- {
			if m.Header == nil {
				m.Header = nats.Header{}
			}
			name := string(u.text())
			m.Header[name] = append(m.Header[name], string(u.text()))
		}
		m.Body = u.text()
		messages = append(messages, m)
	}
	if u.bad || len(messages) == 0 {
		return nil, errParcel
	}
	return messages, nil
}

// unpacker reads until something is wrong; from then on it reads nothing.
type unpacker struct {
	rest []byte
	bad  bool
}

func (u *unpacker) number() uint64 {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 || u.bad {
		u.bad = true
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unpacker) text() []byte {
	n := u.number()
	if u.bad || n > uint64(len(u.rest)) {
		u.bad = true
		return nil
	}
	text := u.rest[:n:n]
	u.rest = u.rest[n:]
	return text
}

// size is what m takes in a payload, headers included, about.
func (m Message) size() int {
	n := len("NATS/1.0\r\n\r\n") + len(HeaderMsgID) + len(m.ID) + 4 + len(m.Body)
	for name, values := range m.Header {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}
