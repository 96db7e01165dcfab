package recorder

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dosewire/dosewire/streams"
)

// arrival is one message of RX_INTAKE with what was done for it before its turn. Without units nothing
// was.
type arrival struct {
	message *streams.Message
	units   []*unit // prepared, their patients found
	late    uint64  // Recorder.late when that began
}

// Bounds of what is done ahead: at most 4 MiB of bodies beyond what the Reader holds. What is prepared takes several
// times the memory of its body until it is committed, and more of it does not make a backlog drain faster.
const (
	aheadMessages = 128     // prepared at once
	aheadReady    = 512     // prepared and not taken
	aheadBytes    = 2 << 20 // of both, each
)

// intake works ahead of the decisions: while one batch commits, the next is read, decoded and validated,
// and the keys of its patients are found, which lie in another database. It never gets past a turning
// point: what stands behind one is not looked at before that one is committed.
//
// One goroutine runs it, one takes from it.
type intake struct {
	r      *Recorder
	reader *streams.Reader
	term   uint64
	news   chan struct{} // holds one token when ready or err may have changed

	mu      sync.Mutex // guards what follows
	ready   []arrival
	bytes   int
	turning bool       // the last message read is a turning point that is not committed yet
	err     error      // of the reader
	room    *sync.Cond // signalled when something was taken, committed or closed
	closed  bool
}

func newIntake(r *Recorder, reader *streams.Reader, term uint64) *intake {
	in := &intake{r: r, reader: reader, term: term, news: make(chan struct{}, 1)}
	in.room = sync.NewCond(&in.mu)
	return in
}

// run works ahead until ctx ends, the reader fails or close.
func (in *intake) run(ctx context.Context) {
	for {
		messages, err := in.reader.Batch(ctx, aheadMessages, aheadBytes, time.Second)
		if err != nil {
			in.end(err)
			return
		}
		in.number(messages)
		for len(messages) > 0 {
			n := untilTurning(messages)
			if !in.put(in.r.foresee(ctx, messages[:n]), turning(&messages[n-1])) {
				return
			}
			messages = messages[n:]
		}
	}
}

// number gives a place to messages that came directly: the term, and how many came in it.
func (in *intake) number(messages []streams.Message) {
	for i := range messages {
		if m := &messages[i]; m.Direct {
			in.r.direct++
			m.Seq, m.Part = in.term, in.r.direct
		}
	}
}

// put appends, waits for room and for the turning point; false after close.
func (in *intake) put(arrivals []arrival, turning bool) bool {
	size := 0
	for _, a := range arrivals {
		size += len(a.message.Body)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.ready) > 0 && (in.bytes+size > aheadBytes || len(in.ready)+len(arrivals) > aheadReady) && !in.closed {
		in.room.Wait()
	}
	in.ready, in.bytes, in.turning = append(in.ready, arrivals...), in.bytes+size, turning
	in.tell()
	for in.turning && !in.closed {
		in.room.Wait()
	}
	return !in.closed
}

func (in *intake) end(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = err
	in.tell()
}

// close lets run return.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.room.Broadcast()
}

// tell leaves a token for take.
func (in *intake) tell() {
	select {
	case in.news <- struct{}{}:
	default:
	}
}

// take waits at most idle for a message and returns all that are ready, at most maxMessages or maxBytes of
// them (one may exceed it). Whoever asks for more has committed what was taken before. What was read
// before an error comes first.
func (in *intake) take(ctx context.Context, maxMessages, maxBytes int, idle time.Duration) ([]arrival, error) {
	end := time.NewTimer(idle)
	defer end.Stop()
	for {
		taken, err := in.next(maxMessages, maxBytes)
		if len(taken) > 0 || err != nil {
			return taken, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return nil, nil
		case <-in.news:
		}
	}
}

func (in *intake) next(maxMessages, maxBytes int) ([]arrival, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	defer in.room.Broadcast()
	if len(in.ready) == 0 {
		in.turning = false
		return nil, in.err
	}
	n, size := 0, 0
	for n < len(in.ready) && n < maxMessages {
		next := len(in.ready[n].message.Body)
		if n > 0 && size+next > maxBytes {
			break
		}
		n, size = n+1, size+next
	}
	// What was taken moves out, so that nothing here keeps messages that are long decided.
	taken := slices.Clone(in.ready[:n])
	in.ready, in.bytes = slices.Delete(in.ready, 0, n), in.bytes-size
	return taken, nil
}

// more says whether take would return at once.
func (in *intake) more() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.ready) > 0 || in.reader.Ready() > 0
}

// turning says whether m may change how the messages behind it are read: whose they are, what is asked
// of them, whose keys there are.
func turning(m *streams.Message) bool { return alone(m) || changesRights(m) }

// untilTurning is how many of the messages can be looked at now.
func untilTurning(messages []streams.Message) int {
	for i := range messages {
		if turning(&messages[i]) {
			return i + 1
		}
	}
	return len(messages)
}

// foresee prepares messages before their turn. It never fails: what it could not do is done, and its
// error seen, when their turn has come.
func (r *Recorder) foresee(ctx context.Context, messages []streams.Message) (arrivals []arrival) {
	arrivals = make([]arrival, len(messages))
	late := r.late.Load()
	for i := range messages {
		arrivals[i].message, arrivals[i].late = &messages[i], late
	}
	defer func() {
		if recover() != nil {
			forget(arrivals)
		}
	}()
	if _, err := r.units(ctx, arrivals); err != nil {
		forget(arrivals)
	}
	return arrivals
}

// units is what the arrivals are decided as; what was not done ahead is done now.
func (r *Recorder) units(ctx context.Context, arrivals []arrival) (all []*unit, err error) {
	var fresh []*unit
	for _, a := range r.prepare(arrivals) {
		fresh = append(fresh, a.units...)
	}
	if err := r.patients(ctx, fresh); err != nil {
		return nil, err
	}
	for _, a := range arrivals {
		all = append(all, a.units...)
	}
	return all, nil
}

// inTurn is units of messages whose turn has come. A patient that is found only now may have been made for a
// message behind, which was foreseen before: that one is not the first that is heard of it.
func (r *Recorder) inTurn(ctx context.Context, arrivals []arrival) ([]*unit, error) {
	foreseen := make([]bool, len(arrivals))
	for i, a := range arrivals {
		foreseen[i] = a.units != nil
	}
	units, err := r.units(ctx, arrivals)
	if slices.Contains(foreseen, false) {
		r.late.Add(1)
	}
	for i, a := range arrivals {
		if !foreseen[i] || a.late == r.late.Load() {
			continue
		}
		for _, u := range a.units {
			u.made = false
		}
	}
	return units, err
}

// forget makes arrivals as if nothing had been done for them: a decision that failed leaves traces in
// its units.
func forget(arrivals []arrival) {
	for i := range arrivals {
		arrivals[i].units = nil
	}
}
