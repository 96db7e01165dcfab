package inbox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/streams"
)

const (
	heartbeat    = 20 * time.Second
	writeTimeout = 10 * time.Second
	// Bounds of live streams: each is a connection and a goroutine.
	maxStreams           = 4096
	maxStreamsPerPatient = 8
)

// live is a server-sent event stream (text/event-stream): "change" when something changed for the
// patient, "end" when the session has ended. Events carry nothing; the page fetches itself again.
func (a *app) live(w http.ResponseWriter, r *http.Request, s session) {
	ctx, leave, err := a.streams.enter(r.Context(), s.patient)
	if err != nil {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(fault.Status(err))
		return
	}
	defer leave()
	changed := make(chan struct{}, 1) // many changes at once are one event
	stop, err := a.subscribe(streams.LiveSubject(s.patient.String()), func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		w.WriteHeader(fault.Status(err))
		return
	}
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	a.feed(ctx, eventWriter{w, http.NewResponseController(w)}, s, changed)
}

// feed writes until the client leaves, the session ends or the hub stops.
func (a *app) feed(ctx context.Context, w eventWriter, s session, changed <-chan struct{}) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	if w.send("retry: 3000\n: open\n\n") != nil {
		return
	}
	for {
		text := "event: change\ndata: {}\n\n"
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
			text = ": still here\n\n"
		}
		// A session that ended must not go on hearing that something happens.
		_, err := a.devices.Session(ctx, s.hash, a.now())
		if errors.Is(err, ledger.ErrNotFound) {
			text = "event: end\ndata: {}\n\n"
		}
		if w.send(text) != nil || errors.Is(err, ledger.ErrNotFound) {
			return
		}
	}
}

// eventWriter writes with a deadline of its own: the server's write timeout is made for pages.
type eventWriter struct {
	w io.Writer
	c *http.ResponseController
}

func (e eventWriter) send(text string) error {
	if err := e.c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := io.WriteString(e.w, text); err != nil {
		return err
	}
	return e.c.Flush()
}

// streamCount bounds live streams and ends them all when the hub stops.
type streamCount struct {
	mu      sync.Mutex // guards what follows
	total   int
	patient map[ledger.ID]int
	closed  bool
	end     chan struct{}
	idle    sync.Cond // total fell
}

func newStreamCount() *streamCount {
	c := &streamCount{patient: map[ledger.ID]int{}, end: make(chan struct{})}
	c.idle.L = &c.mu
	return c
}

// enter counts a stream. The context ends with ctx or with close; leave must be called.
// fault.CodeBusy when there are too many.
func (c *streamCount) enter(ctx context.Context, patient ledger.ID) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.total >= maxStreams || c.patient[patient] >= maxStreamsPerPatient {
		return nil, nil, fault.Of(fault.CodeBusy)
	}
	c.total++
	c.patient[patient]++
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-ctx.Done():
		case <-c.end:
		}
	}()
	return ctx, func() { cancel(); c.leave(patient) }, nil
}

func (c *streamCount) leave(patient ledger.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.patient[patient]--; c.patient[patient] == 0 {
		delete(c.patient, patient)
	}
	c.idle.Broadcast()
}

// close ends all streams and waits for them.
func (c *streamCount) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.end)
	}
	for c.total > 0 {
		c.idle.Wait()
	}
}
