package streams

import (
	"crypto/rand"
	"strconv"

	"github.com/nats-io/nats.go"
)

// Headers of an atomic batch (nats-architecture-and-design ADR-50).
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// Limits of one atomic batch. The server refuses more than 1000 messages; the bytes bound what is
// staged on disk and in memory at once.
const (
	batchMessages = 1000
	batchBytes    = 4 << 20
)

// publishBatch sends messages as one atomic batch. The answer to the whole comes to reply.
func publishBatch(nc *nats.Conn, messages []*nats.Msg, reply string) error {
	id := rand.Text()
	for i, m := range messages {
		m.Reply = ""
		m.Header[headerBatchID] = []string{id}
		m.Header[headerBatchSequence] = []string{strconv.Itoa(i + 1)}
		if i == len(messages)-1 {
			m.Reply = reply
			m.Header[headerBatchCommit] = []string{"1"}
		}
		if err := nc.PublishMsg(m); err != nil {
			return classify(err)
		}
	}
	return nil
}

func unbatch(m *nats.Msg) {
	delete(m.Header, headerBatchID)
	delete(m.Header, headerBatchSequence)
	delete(m.Header, headerBatchCommit)
}
