package streams

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Sizes and ages of DESIGN §5.
const (
	// MaxPayload is the largest message (headers and body) in bytes: a body of 1 MiB and 64 kB for
	// headers and protocol. It is also the server's max_payload.
	MaxPayload = 1<<20 + 64<<10

	// IntakeWindow is the duplicate window of RX_INTAKE. It is short because JetStream's window is per
	// stream: it would answer a stranger's use of the same id with a positive ack.
	IntakeWindow = 100 * time.Millisecond

	// deliveryWindow spans a restart and a change of the recorder. The server keeps each id in memory for
	// so long.
	deliveryWindow = 30 * time.Second

	deliveryAge = 30 * 24 * time.Hour
	deadAge     = 90 * 24 * time.Hour

	defaultIntakeBytes = 1 << 30

	// maxConsumers is set, because for an unlimited stream the server has a limit of its own (1000),
	// and RX_DELIVERY has a consumer for each organisation.
	maxConsumers = 100_000
)

// Settings are what deployments choose about the streams.
type Settings struct {
	Replicas    int    // 1 (zero means 1) or 3
	IntakeBytes int64  // MaxBytes of RX_INTAKE: unrecorded backlog beyond it is refused; zero means 1 GiB
	Epoch       uint64 // generation of RX_INTAKE, as in the ledger's head
	FirstSeq    uint64 // sequence of the first message, when RX_INTAKE is created; zero means 1
}

const metadataEpoch = "epoch"

// configs are the four streams. Whatever is not named is off, and read back as off. RX_DELIVERY and
// PUSH get their entrance when they are made.
func (s Settings) configs() []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: max(s.Replicas, 1), Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxConsumers: maxConsumers, MaxMsgSize: MaxPayload,
		Duplicates: deliveryWindow,
	}

	intake := base
	intake.Name, intake.Subjects = Intake, []string{"rx.intake.*.*", "rx.fact.*"}
	intake.MaxBytes = s.IntakeBytes
	if intake.MaxBytes <= 0 {
		intake.MaxBytes = defaultIntakeBytes
	}
	intake.Duplicates = IntakeWindow
	intake.FirstSeq = max(s.FirstSeq, 1)
	intake.Metadata = map[string]string{metadataEpoch: strconv.FormatUint(s.Epoch, 10)}

	// WorkQueue, not Interest: a message is kept until it is acknowledged even while its organisation
	// has no consumer yet.
	delivery := base
	delivery.Name, delivery.Subjects = Delivery, []string{"rx.deliver.>"}
	delivery.Retention, delivery.MaxAge, delivery.AllowAtomicPublish = jetstream.WorkQueuePolicy, deliveryAge, true

	push := base
	push.Name, push.Subjects = Push, []string{"push.>"}
	push.Retention, push.Discard, push.MaxMsgsPerSubject = jetstream.WorkQueuePolicy, jetstream.DiscardOld, 1

	dead := base
	dead.Name, dead.MaxAge, dead.Discard = Dead, deadAge, jetstream.DiscardOld
	for _, kind := range []string{"MAX_DELIVERIES", "MSG_TERMINATED"} {
		for _, stream := range []string{Delivery, Push} {
			dead.Subjects = append(dead.Subjects, "$JS.EVENT.ADVISORY.CONSUMER."+kind+"."+stream+".*")
		}
	}
	return []jetstream.StreamConfig{intake, delivery, push, dead}
}
