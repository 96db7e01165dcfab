package notary_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/notary"
)

// TestGrowth grows a ledger by random steps, restarting now and then, and compares every published
// root with another implementation's, every bundle with the entries.
func TestGrowth(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	s.tick(t) // an empty ledger is signed by nobody
	if _, err := s.tiles.Get(t.Context(), "checkpoint"); !errors.Is(err, notary.ErrNoObject) {
		t.Fatalf("an empty ledger was published: %v", err)
	}
	steps := []int{1, 1, 253, 1, 1, 255, 300}
	rng := mrand.New(mrand.NewPCG(1, 2))
	for range 25 {
		steps = append(steps, rng.IntN(90))
	}
	for i, n := range append(steps, 66_000, 7, 256) {
		c.add(n)
		if i%3 == 0 {
			s.reopen(t)
		}
		s.tick(t)
		v, size := s.published(t), len(c.entries)
		if v.Size != uint64(size) || v.Root != c.root(t, size) || v.Origin != origin {
			t.Fatalf("step %d: %+v, want size %d", i, v.Checkpoint, size)
		}
		if st := s.Status(); st.Size != v.Size || st.Published != v.Size || st.Unsigned != 0 || st.Alarm != "" {
			t.Fatalf("status %+v", st)
		}
	}
	for i, got := range entriesOf(t, s.tiles, s.published(t).Size) {
		if want := c.entries[i].Bytes(); string(got) != string(want[:]) {
			t.Fatalf("entry %d differs", i)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "tiles", "tile", "0", "000.p")); len(left) > 0 {
		t.Errorf("partial tiles beside a full one: %v", left)
	}
}

// TestTickReadsOnlyWhatIsNew: the cost of a tick is its new entries and one old one.
func TestTickReadsOnlyWhatIsNew(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	c.add(10_000)
	s.tick(t)
	s.reopen(t)
	c.read = 0
	c.add(3)
	s.tick(t)
	if c.read > 4+1 {
		t.Errorf("%d entries were read for 3 new ones", c.read)
	}
	before, _ := os.Stat(filepath.Join(s.dir, "state", "state.json"))
	s.tick(t)
	after, _ := os.Stat(filepath.Join(s.dir, "state", "state.json"))
	if before.ModTime() != after.ModTime() {
		t.Error("an idle tick wrote")
	}
}

// TestAlarms: each attack by the owner of the database, and the name it gets, within one tick.
func TestAlarms(t *testing.T) {
	for name, tt := range map[string]struct {
		do    func(*chain)
		want  error
		alarm string
		says  string
	}{
		"tail cut":                  {func(c *chain) { c.cut(690) }, notary.ErrRollback, "rollback", "700→690"},
		"set back, then grown past": {func(c *chain) { c.cut(650); c.add(100) }, notary.ErrRewrite, "rewrite", "entry 699"},
		"tail cut, head left":       {func(c *chain) { c.entries = c.entries[:690] }, notary.ErrGap, "gap", "entry 699"},
		"whole chain recomputed":    {func(c *chain) { c.entries[5].Digest[0] ^= 1; c.relink(5) }, notary.ErrRewrite, "rewrite", "entry 699"},
		"recomputed and grown":      {func(c *chain) { c.entries[5].Digest[0] ^= 1; c.relink(5); c.add(1) }, notary.ErrRewrite, "rewrite", "entry 699"},
		"last entry changed":        {func(c *chain) { c.entries[699].Digest[0] ^= 1 }, notary.ErrRewrite, "rewrite", "entry 699"},
		"head points elsewhere":     {func(c *chain) { c.head.Leaf[0] ^= 1 }, notary.ErrRewrite, "rewrite", "head"},
		"new entry does not link":   {func(c *chain) { c.add(2); c.entries[701].Prev[0] ^= 1 }, notary.ErrRewrite, "rewrite", "entry 701"},
		"new entry missing": {func(c *chain) {
			c.add(3)
			c.entries = append(c.entries[:701:701], c.entries[702:]...)
		}, notary.ErrGap, "gap", "entry 701"},
		"new tail missing": {func(c *chain) { c.add(3); c.entries = c.entries[:702] }, notary.ErrGap, "gap", "entry 702"},
		"reordered":        {func(c *chain) { c.add(3); c.entries[700], c.entries[701] = c.entries[701], c.entries[700] }, notary.ErrGap, "gap", "entry 700"},
		"a second genesis": {func(c *chain) { c.add(1); c.entries[700].Kind = ledger.KindGenesis; c.relink(700) }, notary.ErrRewrite, "rewrite", "entry 700"},
		"time goes back":   {func(c *chain) { c.add(1); c.entries[700].Time -= 1e6; c.head.Leaf = c.entries[700].Leaf() }, notary.ErrClock, "clock", "entry 700"},
		"time runs ahead": {func(c *chain) {
			c.now = func() time.Time { return time.Now().Add(3 * time.Second) }
			c.add(1)
		}, notary.ErrClock, "clock", "ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain()
			s := newSetup(t, c)
			c.add(700)
			s.tick(t)
			tt.do(c)
			s.refuses(t, tt.want, tt.alarm)
			if err := s.Status().Err; !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v does not say %q", err, tt.says)
			}
			s.reopen(t) // a restart does not help
			s.refuses(t, tt.want, tt.alarm)
			if strings.Contains(name, "new") || strings.Contains(name, "time") || name == "reordered" || strings.Contains(name, "genesis") {
				return // what was signed is still there
			}
			if err := s.Check(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("Check before serving: %v", err)
			}
		})
	}
}

// behind adds an entry that no recorder has committed: it links, and the head does not move.
func (c *chain) behind() {
	head := c.head
	c.add(1)
	c.head = head
}

// TestBehindTheHead: nothing is signed beside an entry that nobody committed, and when it is gone the
// log goes on as if it had never been there.
func TestBehindTheHead(t *testing.T) {
	for _, size := range []int{3, 256, 4096 + 7} {
		c := newChain()
		s := newSetup(t, c)
		c.add(2)
		s.tick(t)
		c.add(size - 2)
		before := s.Status().Size
		c.behind()
		s.refuses(t, notary.ErrBeyond, "beyond")
		if err := s.Status().Err; !strings.Contains(err.Error(), fmt.Sprint("entry ", size)) {
			t.Errorf("%v does not name entry %d", err, size)
		}
		s.reopen(t)
		if err := s.Check(t.Context()); size <= 256 && !errors.Is(err, notary.ErrBeyond) {
			t.Errorf("Check before serving: %v", err)
		}
		s.refuses(t, notary.ErrBeyond, "beyond")
		if got := s.Status().Size; got != before {
			t.Fatalf("size %d was signed, before %d", got, before)
		}
		c.entries = c.entries[:size]
		c.add(2)
		s.tick(t)
		if v := s.published(t); v.Size != uint64(size+2) || v.Root != c.root(t, size+2) {
			t.Errorf("published %+v", v.Checkpoint)
		}
	}
}

// TestBehindAnEmptyHead is the same before there is an entry 0.
func TestBehindAnEmptyHead(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	c.behind()
	if err := s.Tick(t.Context()); !errors.Is(err, notary.ErrBeyond) {
		t.Errorf("tick: %v, want ErrBeyond", err)
	}
	if _, err := s.tiles.Get(t.Context(), "checkpoint"); !errors.Is(err, notary.ErrNoObject) {
		t.Errorf("it was published: %v", err)
	}
}

// TestCommittedMeanwhile: what is committed between reading the head and the entries is no alarm.
func TestCommittedMeanwhile(t *testing.T) {
	c := newChain()
	s := newSetup(t, c, func(n *notary.Config) { n.Source = growing{c} })
	for range 20 {
		s.tick(t)
	}
	if v := s.published(t); v.Size != uint64(len(c.entries)) || v.Root != c.root(t, len(c.entries)) {
		t.Errorf("published %+v of %d", v.Checkpoint, len(c.entries))
	}
}

// growing is a ledger to which something is committed before each read of entries that is not the last.
type growing struct{ *chain }

func (g growing) Entries(ctx context.Context, from uint64, limit int) ([]ledger.Entry, error) {
	if int(from) < 1000 && from+1 >= g.head.Size {
		g.add(100)
	}
	return g.chain.Entries(ctx, from, limit)
}

// TestAlarmGoes: a repaired database needs no reset of the notary.
func TestAlarmGoes(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	c.add(10)
	s.tick(t)
	kept := c.entries
	c.cut(5)
	s.refuses(t, notary.ErrRollback, "rollback")
	c.entries = kept
	c.relink(0)
	c.add(1)
	s.tick(t)
	if s.Healthy() != nil || s.published(t).Size != 11 {
		t.Errorf("after the repair: %+v", s.Status())
	}
}

// TestClockBehind: entries that are made with old times raise an alarm that does not stop anything.
func TestClockBehind(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	c.now = func() time.Time { return time.Now().Add(-time.Hour) }
	c.add(3)
	s.tick(t) // the notary was not there before: no alarm
	c.now = func() time.Time { return time.Now().Add(-6 * time.Second) }
	c.add(1)
	s.tick(t)
	if s.published(t).Size != 4 || s.Healthy() != nil {
		t.Errorf("status %+v", s.Status())
	}
}

// failing is a storage that fails at one operation, before or after the deed.
type failing struct {
	notary.Storage
	at    string // create, replace
	path  string // which ones; prefix
	after bool
	armed bool
}

var errCut = fault.New(fault.Unavailable, "cut off")

func (f *failing) fails(op, path string) bool {
	return f.armed && op == f.at && strings.HasPrefix(path, f.path)
}

func (f *failing) Create(ctx context.Context, path string, b []byte) error {
	if !f.fails("create", path) {
		return f.Storage.Create(ctx, path, b)
	}
	if f.after {
		_ = f.Storage.Create(ctx, path, b)
	}
	return errCut
}

func (f *failing) Replace(ctx context.Context, path string, old, b []byte) error {
	if !f.fails("replace", path) {
		return f.Storage.Replace(ctx, path, old, b)
	}
	if f.after {
		_ = f.Storage.Replace(ctx, path, old, b)
	}
	return errCut
}

// TestCrash: a crash before or after any write, a restart, and the next tick finishes; what was
// published before stays valid meanwhile.
func TestCrash(t *testing.T) {
	for name, f := range map[string]failing{
		"before a tile":          {at: "create", path: "tile/0"},
		"after a tile":           {at: "create", path: "tile/0", after: true},
		"after entries":          {at: "create", path: "tile/entries", after: true},
		"before a level 1 tile":  {at: "create", path: "tile/1"},
		"before state":           {at: "replace", path: "state"},
		"between state and rest": {at: "replace", path: "state", after: true},
		"before checkpoint":      {at: "replace", path: "checkpoint"},
		"after checkpoint":       {at: "replace", path: "checkpoint", after: true},
	} {
		for _, restart := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				c := newChain()
				var tiles, state failing
				s := newSetup(t, c, func(n *notary.Config) {
					tiles, state = f, f
					tiles.Storage, state.Storage = n.Tiles, n.State.(*notary.Dir)
					n.Tiles, n.State = &tiles, &state
				})
				c.add(300)
				s.tick(t)
				tiles.armed, state.armed = true, true
				c.add(400)
				if err := s.Tick(t.Context()); !errors.Is(err, errCut) {
					t.Fatalf("tick: %v", err)
				}
				s.published(t)
				tiles.armed, state.armed = false, false
				c.add(1)
				if restart {
					s.reopen(t)
				}
				if err := s.Tick(t.Context()); errors.Is(err, notary.ErrMoved) {
					s.tick(t) // it looked again
				} else if err != nil {
					t.Fatal(err)
				}
				if v := s.published(t); v.Size != 701 || v.Root != c.root(t, 701) {
					t.Errorf("published %+v", v.Checkpoint)
				}
			})
		}
	}
}

// TestLost: what the notary keeps is made anew from the ledger, unless that does not lead there.
func TestLost(t *testing.T) {
	remove := func(what string) func(*testing.T, *setup) {
		return func(t *testing.T, s *setup) {
			if err := os.RemoveAll(filepath.Join(s.dir, what)); err != nil {
				t.Fatal(err)
			}
			s.tiles, s.state = openDir(t, filepath.Join(s.dir, "tiles")), openDir(t, filepath.Join(s.dir, "state"))
		}
	}
	for name, tt := range map[string]struct {
		lose   func(*testing.T, *setup)
		tamper bool
		want   error
	}{
		"state":                             {remove("state/state.json"), false, nil},
		"tiles":                             {remove("tiles"), false, nil},
		"edge":                              {remove("tiles/tile/0/002.p"), false, nil},
		"bundle":                            {remove("tiles/tile/entries"), false, nil},
		"state, and the ledger rewritten":   {remove("state/state.json"), true, notary.ErrRewrite},
		"tiles, and the ledger rewritten":   {remove("tiles"), true, notary.ErrRewrite},
		"edge, and the ledger rewritten":    {remove("tiles/tile/0/002.p"), true, notary.ErrRewrite},
		"state, and another key takes over": {func(t *testing.T, s *setup) { remove("state/state.json")(t, s); remove("key")(t, s) }, false, notary.ErrState},
		"the key":                           {remove("key"), false, notary.ErrState},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain()
			s := newSetup(t, c)
			c.add(700)
			s.tick(t)
			tt.lose(t, s)
			if tt.tamper {
				c.entries[3].Digest[0] ^= 1
				c.relink(3)
			}
			s.key = logKey(t, s.dir)
			s.config.Signer, s.config.Verifier = s.key, s.key.Verifier
			s.reopen(t)
			err := s.Tick(t.Context())
			if !errors.Is(err, tt.want) && err != nil || (err == nil) != (tt.want == nil) {
				t.Fatalf("tick: %v, want %v", err, tt.want)
			}
			if waits := s.Status().Unsigned; waits < 0 {
				t.Errorf("unsigned for %v", waits)
			}
			if tt.want != nil {
				return
			}
			c.add(100)
			s.tick(t)
			if v := s.published(t); v.Size != 800 || v.Root != c.root(t, 800) {
				t.Errorf("published %+v", v.Checkpoint)
			}
			entriesOf(t, s.tiles, 800)
		})
	}
}

// TestStateSetBack: a notary whose own state was restored from a backup finds what it published since.
func TestStateSetBack(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	c.add(100)
	s.tick(t)
	old, _ := s.state.Get(t.Context(), "state.json")
	c.add(100)
	s.tick(t)
	if err := os.WriteFile(filepath.Join(s.dir, "state", "state.json"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	s.reopen(t)
	if err := s.Tick(t.Context()); !errors.Is(err, notary.ErrFork) {
		t.Errorf("tick: %v, want ErrFork", err)
	}
}

// TestTwoNotaries: two of them with one state take turns; each checkpoint is signed once.
func TestTwoNotaries(t *testing.T) {
	c := newChain()
	a := newSetup(t, c)
	b := *a
	b.reopen(t)
	for i := range 40 {
		c.add(17)
		for _, s := range []*setup{a, &b} {
			if i%3 == 0 && s == a {
				continue
			}
			if err := s.Tick(t.Context()); err != nil && !errors.Is(err, notary.ErrMoved) {
				t.Fatal(err)
			}
		}
	}
	c.add(1)
	_ = a.Tick(t.Context())
	_ = b.Tick(t.Context())
	_ = a.Tick(t.Context())
	if v := a.published(t); v.Size != uint64(len(c.entries)) || v.Root != c.root(t, len(c.entries)) {
		t.Errorf("published %+v", v.Checkpoint)
	}
}

// TestTwoNotariesAtOnce is the same in parallel, for the race detector and the lock file.
func TestTwoNotariesAtOnce(t *testing.T) {
	c := newChain()
	a := newSetup(t, c)
	b := *a
	b.reopen(t)
	c.add(50)
	done := make(chan struct{})
	for _, s := range []*setup{a, &b} {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 30 {
				c.add(5)
				if err := s.Tick(context.Background()); err != nil && !errors.Is(err, notary.ErrMoved) {
					t.Error(err)
				}
			}
		}()
	}
	<-done
	<-done
	for range 2 {
		if err := a.Tick(t.Context()); err != nil && !errors.Is(err, notary.ErrMoved) {
			t.Fatal(err)
		}
	}
	if v := a.published(t); v.Size != uint64(len(c.entries)) || v.Root != c.root(t, len(c.entries)) {
		t.Errorf("published %+v", v.Checkpoint)
	}
}

func TestUnavailableIsNoAlarm(t *testing.T) {
	c := newChain()
	s := newSetup(t, c)
	c.add(5)
	s.tick(t)
	c.err = fault.New(fault.Unavailable, "no database")
	if err := s.Tick(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("tick: %v", err)
	}
	if s.Healthy() != nil || s.Status().Alarm != "unavailable" {
		t.Errorf("status %+v", s.Status())
	}
}

func TestOtherOrigin(t *testing.T) {
	c := newChain()
	c.head.Leaf = sha256.Sum256([]byte("another.test/log"))
	s := newSetup(t, c)
	c.add(1)
	if err := s.Tick(t.Context()); !errors.Is(err, notary.ErrRewrite) {
		t.Errorf("tick: %v, want ErrRewrite at entry 0", err)
	}
}
