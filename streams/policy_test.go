package streams_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dosewire/dosewire/streams"
)

// client is a stock client of an organisation, over TCP.
type client struct {
	*nats.Conn
	t      *testing.T
	denied chan error
}

func connectOrg(t *testing.T, h *hub, org string) *client {
	t.Helper()
	c := &client{t: t, denied: make(chan error, 100)}
	var err error
	c.Conn, err = nats.Connect(h.URL(), nats.UserInfo(org, "secret"), nats.CustomInboxPrefix(streams.InboxPrefix(org)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// refused reports whether the server denied what was done since the last call.
func (c *client) refused() bool {
	c.t.Helper()
	if err := c.FlushTimeout(5 * time.Second); err != nil {
		c.t.Fatal(err)
	}
	refused := false
	for {
		select {
		case err := <-c.denied:
			refused = refused || errors.Is(err, nats.ErrPermissionViolation)
		case <-time.After(20 * time.Millisecond): // the handler runs beside the flush
			return refused
		}
	}
}

func TestOrganisationMay(t *testing.T) {
	h := startHub(t)
	if err := streams.EnsureConsumer(t.Context(), h.js, "pharmacy"); err != nil {
		t.Fatal(err)
	}
	if _, err := newDeliveryPublisher(t, h).Publish(t.Context(), numbered("pharmacy", 1, 20)); err != nil {
		t.Fatal(err)
	}
	c := connectOrg(t, h, "pharmacy")
	js, err := jetstream.New(c.Conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{streams.TypeMedicationRequest, streams.TypeMedicationDispense, streams.TypeBundle} {
		ack, err := js.Publish(t.Context(), streams.IntakeSubject("pharmacy", kind), []byte("{}"), jetstream.WithMsgID("pharmacy."+kind))
		if err != nil || ack.Stream != streams.Intake {
			t.Errorf("publish %s: %v, %v", kind, ack, err)
		}
	}
	consumer, err := js.Consumer(t.Context(), streams.Delivery, streams.ConsumerName("pharmacy"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, 20)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
		got <- struct{}{}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer consuming.Stop()
	for range 20 {
		<-got
	}
	if c.refused() {
		t.Error("something was denied")
	}
	waitFor(t, func() bool { return h.state(t, streams.Delivery).Msgs == 0 })
}

func TestOrganisationMayNot(t *testing.T) {
	h := startHub(t)
	for _, org := range []string{"evil", "pharmacy"} {
		if err := streams.EnsureConsumer(t.Context(), h.js, org); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := newDeliveryPublisher(t, h).Publish(t.Context(), numbered("pharmacy", 1, 1)); err != nil {
		t.Fatal(err)
	}
	fill(t, h, 1, 10)
	foreign := pull(t, h, "pharmacy", 1)[0]
	c := connectOrg(t, h, "evil")

	own := streams.Delivery + "." + streams.ConsumerName("evil")
	for _, subject := range []string{
		streams.IntakeSubject("pharmacy", streams.TypeBundle),
		streams.IntakeSubject("evil", "Patient"),
		streams.FactSubject("organization"),
		streams.DeliverySubject("pharmacy", streams.TypeBundle, "r"),
		streams.PushSubject("webpush", "d"),
		streams.LiveSubject("p"),
		streams.ReplyPrefix + "call.x",
		"_INBOX_pharmacy.x",
		"$JS.API.INFO",
		"$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.INFO." + streams.Intake,
		"$JS.API.STREAM.UPDATE." + streams.Intake,
		"$JS.API.STREAM.DELETE." + streams.Intake,
		"$JS.API.STREAM.PURGE." + streams.Intake,
		"$JS.API.STREAM.SNAPSHOT." + streams.Intake,
		"$JS.API.STREAM.MSG.GET." + streams.Intake,
		"$JS.API.STREAM.MSG.DELETE." + streams.Intake,
		"$JS.API.DIRECT.GET." + streams.Delivery,
		"$JS.API.CONSUMER.CREATE." + streams.Delivery,
		"$JS.API.CONSUMER.CREATE." + own + ".rx.deliver.pharmacy.>",
		"$JS.API.CONSUMER.DURABLE.CREATE." + own,
		"$JS.API.CONSUMER.DELETE." + own,
		"$JS.API.CONSUMER.PAUSE." + own,
		"$JS.API.CONSUMER.NAMES." + streams.Delivery,
		"$JS.API.CONSUMER.INFO." + streams.Delivery + "." + streams.ConsumerName("pharmacy"),
		"$JS.API.CONSUMER.MSG.NEXT." + streams.Delivery + "." + streams.ConsumerName("pharmacy"),
		foreign.Reply(),
		strings.Replace(foreign.Reply(), "$JS.ACK.", "$JS.ACK._.hash.", 1),
		"$SYS.REQ.SERVER.PING",
	} {
		if err := c.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if !c.refused() {
			t.Errorf("publish to %s was not denied", subject)
		}
	}
	for _, subject := range []string{">", "rx.intake.>", "rx.fact.>", "rx.deliver.pharmacy.>", "_INBOX.>", streams.ReplyPrefix + ">",
		"_INBOX_pharmacy.>", "_INBOX_*.>", "live.>", "push.>", "$JS.>", "$JS.EVENT.ADVISORY.>", "$SYS.>"} {
		if _, err := c.SubscribeSync(subject); err == nil && !c.refused() {
			t.Errorf("subscribe to %s was not denied", subject)
		}
	}
	if s := h.state(t, streams.Intake); s.Msgs != 1 || s.LastSeq != 1 {
		t.Errorf("RX_INTAKE holds %d messages up to %d, want 1 and 1", s.Msgs, s.LastSeq)
	}
	if got := h.state(t, streams.Delivery).Msgs; got != 1 {
		t.Errorf("RX_DELIVERY holds %d messages, want 1", got)
	}
}

// Control headers on a permitted subject: one rollup would wipe other clinics' messages.
func TestControlHeadersAreRefused(t *testing.T) {
	h := startHub(t)
	fill(t, h, 3, 10)
	c := connectOrg(t, h, "evil")
	for _, header := range []nats.Header{
		{"Nats-Rollup": {"all"}}, {"Nats-Rollup": {"sub"}}, {"Nats-TTL": {"1s"}}, {"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Target": {"rx.fact.x"}},
		{"Nats-Incr": {"1"}},
	} {
		reply, err := c.RequestMsg(&nats.Msg{Subject: streams.IntakeSubject("evil", streams.TypeBundle), Header: header, Data: []byte("{}")}, 5*time.Second)
		if err != nil || !strings.Contains(string(reply.Data), `"error"`) {
			t.Errorf("%v: got %v, %v; want an error of the stream", header, reply, err)
		}
	}
	if got := h.state(t, streams.Intake).Msgs; got != 3 {
		t.Errorf("RX_INTAKE holds %d messages, want 3", got)
	}
}

func TestWrongPassword(t *testing.T) {
	h := startHub(t)
	for _, user := range []string{"evil", "hub", ""} {
		nc, err := nats.Connect(h.URL(), nats.UserInfo(user, "wrong"))
		if err == nil {
			nc.Close()
			t.Errorf("user %q got in", user)
		}
	}
}

// An answer of the server goes wherever its request says, with the server's own rights. It must reach
// nobody but the asker: no stream, no other organisation, and not the JetStream API, which would obey it.
func TestAnswersStayWithTheAsker(t *testing.T) {
	h := startHub(t)
	for _, org := range []string{"evil", "pharmacy"} {
		if err := streams.EnsureConsumer(t.Context(), h.js, org); err != nil {
			t.Fatal(err)
		}
	}
	announcer := newDeliveryPublisher(t, h)
	if _, err := announcer.Publish(t.Context(), numbered("pharmacy", 1, 5)); err != nil {
		t.Fatal(err)
	}
	c := connectOrg(t, h, "evil")
	own := streams.Delivery + "." + streams.ConsumerName("evil")
	requests := map[string]string{ // and their bodies
		streams.IntakeSubject("evil", streams.TypeBundle): "",
		"$JS.API.CONSUMER.INFO." + own:                    "",
		"$JS.API.CONSUMER.MSG.NEXT." + own:                `{"batch":1,"no_wait":true}`, // answered with a status and no body
	}
	targets := []string{
		streams.FactSubject("organization"),
		streams.IntakeSubject("pharmacy", streams.TypeMedicationDispense),
		streams.DeliverySubject("pharmacy", streams.TypeBundle, "r"),
		streams.PushSubject("webpush", "d"),
		"$JS.API.STREAM.DELETE." + streams.Push,
		"$JS.API.STREAM.DELETE." + streams.Intake,
		"$JS.API.STREAM.PURGE." + streams.Delivery,
		"$JS.API.CONSUMER.DELETE." + streams.Delivery + "." + streams.ConsumerName("pharmacy"),
	}
	for i, target := range targets {
		for subject, body := range requests {
			m := &nats.Msg{Subject: subject, Reply: target, Header: nats.Header{streams.HeaderMsgID: {fmt.Sprintf("evil.%d", i)}}, Data: []byte(body)}
			if err := c.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	// what comes last is answered last
	if _, err := c.Request("$JS.API.CONSUMER.INFO."+own, nil, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return h.state(t, streams.Intake).Msgs == uint64(len(targets)) })
	for _, m := range readAll(t, h, streams.Intake, len(targets)) {
		if source, _ := streams.ParseIntake(m.Subject); source.Org != "evil" || source.Kind != "" {
			t.Errorf("a message at %s", m.Subject)
		}
	}
	for stream, want := range map[string]uint64{streams.Delivery: 5, streams.Push: 0} {
		if got := h.state(t, stream).Msgs; got != want {
			t.Errorf("%s holds %d messages, want %d", stream, got, want)
		}
	}
	if got := pull(t, h, "pharmacy", 5); len(got) != 5 {
		t.Errorf("the pharmacy was sent %d deliveries, want 5", len(got))
	}
	if _, err := announcer.Publish(t.Context(), numbered("evil", 6, 6)); err != nil {
		t.Errorf("the announcer was put out: %v", err)
	}
}

func TestPermissionsNameOneOrganisation(t *testing.T) {
	p := streams.PermissionsFor("o1")
	for _, subject := range append(p.Publish, p.Subscribe...) {
		if !strings.Contains(subject, "o1") {
			t.Errorf("%s is not bound to the organisation", subject)
		}
	}
}
