package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/receipt"
	"github.com/dosewire/dosewire/ledger/trust"
)

// verifyFlags say what is judged, and by whom.
type verifyFlags struct {
	db      bool
	tiles   string
	receipt string
	message string
	policy  string
	resume  string
}

func newVerify(g *globals) *cobra.Command {
	f := &verifyFlags{}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Judge the ledger, what it publishes, or a receipt, and name the first bad entry",
		Long: `Judge the ledger. No key is needed.

--db (the default) walks the whole chain from its origin and checks every stored row against its
entry. It asks the running hub, or opens the records database when none runs. With --policy it also
compares the tree with the newest checkpoint (notary.tiles of the configuration): this finds a
database that was rewritten as a whole. It covers entries and the records, statements and disclosures
that they stand for; present states and other derived tables are the running hub's to watch (see
docs/integrity.md).

--tiles walks what the notary publishes, in a folder or at a URL: the chain, every hash tile and the
root, under a checkpoint that the policy accepts. No hub and no database is needed.

--receipt judges one receipt offline, and with --message that it is about these bytes.

The policy is a C2SP tlog-policy file: whose signatures are believed. --resume begins where the
verification that wrote the file ended, and writes it anew; what was walked then is not read again,
so walk everything now and then.

Exit code 5 means that something is not what was written or signed; the first bad entry is named.`,
		Example: "  dosewire verify\n  dosewire verify --policy trust.policy --resume verified.json\n" +
			"  dosewire verify --tiles https://log.example/tiles --policy trust.policy --json\n" +
			"  dosewire verify --receipt rx.tlog-proof --message rx.json --policy trust.policy",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, g) },
	}
	fl := c.Flags()
	fl.BoolVar(&f.db, "db", false, "judge the database (the default)")
	fl.StringVar(&f.tiles, "tiles", "", "judge the published log in this `folder or URL`")
	fl.StringVar(&f.receipt, "receipt", "", "judge this receipt `file`")
	fl.StringVar(&f.message, "message", "", "with --receipt: the message as it was received, a `file`")
	fl.StringVar(&f.policy, "policy", "", "trust policy `file` (C2SP tlog-policy)")
	fl.StringVar(&f.resume, "resume", "", "begin where this `file` says, and keep the place there")
	c.MarkFlagsMutuallyExclusive("db", "tiles", "receipt")
	c.MarkFlagsMutuallyExclusive("receipt", "resume")
	return c
}

// ledgerVerdict is the verdict as --json prints it.
type ledgerVerdict struct {
	Mode    string  `json:"mode"` // db, tiles or receipt
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"` // entries a second
	admin.Verdict
	Tile       string      `json:"tile,omitempty"` // the file that is not as published
	Checkpoint *checkpoint `json:"checkpoint,omitempty"`
	Entry      *proven     `json:"entry,omitempty"`
}

// checkpoint is the checkpoint that was accepted.
type checkpoint struct {
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`
	Root      string    `json:"root"` // hex
	Witnesses []witness `json:"witnesses,omitempty"`
}

type witness struct {
	Name string    `json:"name"`
	Time time.Time `json:"time"`
}

// proven is the entry that a receipt is about.
type proven struct {
	Index   uint64    `json:"index"`
	Kind    int       `json:"kind"`
	Time    time.Time `json:"time"`
	Leaf    string    `json:"leaf"`    // hex
	Message bool      `json:"message"` // the message was given and is the one recorded
}

func newCheckpoint(c trust.Signed) *checkpoint {
	out := &checkpoint{Origin: c.Origin, Size: c.Size, Root: hex.EncodeToString(c.Root[:])}
	for _, w := range c.Cosigned {
		out.Witnesses = append(out.Witnesses, witness{w.Key, w.Time})
	}
	return out
}

// run judges, prints the verdict, and keeps the place. A verdict that is bad is printed and is the
// error too.
func (f *verifyFlags) run(cmd *cobra.Command, g *globals) error {
	if f.message != "" && f.receipt == "" {
		return usageError{errors.New("--message goes with --receipt")}
	}
	if f.policy == "" && (f.tiles != "" || f.receipt != "") {
		return usageError{errors.New("--tiles and --receipt need --policy: nobody else says whose signatures are believed")}
	}
	policy, err := f.readPolicy()
	if err != nil {
		return err
	}
	state, err := f.state()
	if err != nil {
		return err
	}
	bar := newProgress(cmd.ErrOrStderr(), g.json)
	began := time.Now()
	j, err := f.judge(cmd.Context(), g, policy, state, func(n, of uint64) { bar.show("verified", n, of) })
	bar.clear()
	if j.State != nil && f.resume != "" {
		if err := keep(f.resume, j.State); err != nil {
			return err
		}
	}
	if err != nil && fault.KindOf(err) != fault.Tampered {
		return err
	}
	j.State, j.OK = nil, err == nil
	took := time.Since(began)
	j.Seconds, j.Rate = took.Seconds(), rate(j.Entries, took)
	return errors.Join(err, g.print(cmd.OutOrStdout(), j, j.report))
}

func (f *verifyFlags) judge(ctx context.Context, g *globals, p *trust.Policy, state []byte, progress func(n, of uint64)) (ledgerVerdict, error) {
	switch {
	case f.receipt != "":
		return f.judgeReceipt(p)
	case f.tiles != "":
		return judgeTiles(ctx, receipt.TilesAt(f.tiles), p, state, progress)
	}
	c, err := g.load()
	if err != nil {
		return ledgerVerdict{}, err
	}
	return judgeDatabase(ctx, c, p, state, progress)
}

func (f *verifyFlags) readPolicy() (*trust.Policy, error) {
	if f.policy == "" {
		return nil, nil
	}
	return readTrust(f.policy)
}

// readTrust reads a trust policy.
func readTrust(path string) (*trust.Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError{err}
	}
	p, err := trust.ParsePolicy(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", path, err)}
	}
	return p, nil
}

// state is what an earlier verification kept; nil when there is none yet.
func (f *verifyFlags) state() ([]byte, error) {
	if f.resume == "" {
		return nil, nil
	}
	b, err := os.ReadFile(f.resume)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usageError{err}
	}
	var s receipt.State
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", f.resume, err)}
	}
	return b, nil
}

// keep replaces the file as a whole.
func keep(name string, state []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".verify-")
	if err != nil {
		return usageError{err}
	}
	_, err = tmp.Write(append(state, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep the place: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}

// judgeDatabase asks the hub, or reads the database if no hub runs.
func judgeDatabase(ctx context.Context, c hub.Config, p *trust.Policy, state []byte, progress func(n, of uint64)) (ledgerVerdict, error) {
	j := ledgerVerdict{Mode: "db"}
	q := admin.Verification{State: state}
	if p != nil {
		tiles, err := hub.Published(ctx, c)
		if err != nil {
			return j, err
		}
		signed, err := receipt.CheckpointOf(ctx, tiles, p.Open)
		if err == nil && signed.Origin != c.Ledger.Origin {
			err = receipt.ErrOrigin
		}
		if err != nil {
			return j.bad(err)
		}
		j.Checkpoint = newCheckpoint(signed)
		q.At, q.Root = signed.Size, hex.EncodeToString(signed.Root[:])
	}
	show := func(p admin.Progress) { progress(p.Entries, p.Total) }
	v, err := admin.NewClient(c.AdminSocket()).Verify(ctx, q, show)
	if errors.Is(err, admin.ErrNotRunning) {
		if _, err := os.Stat(c.Data); c.Store.DSN == "" && errors.Is(err, fs.ErrNotExist) {
			return j, usageError{fmt.Errorf("there is no data folder %s", c.Data)}
		}
		v, err = hub.VerifyStore(ctx, c, q, show)
	}
	j.Verdict = v
	if err != nil && v.Bad == nil && fault.KindOf(err) == fault.Tampered {
		return j.bad(err) // such as a head that is gone
	}
	if err == nil && v.Bad != nil {
		err = fault.New(fault.Tampered, fmt.Sprintf("entry %d: %s", v.Bad.Entry, v.Bad.Reason))
	}
	return j, err
}

func judgeTiles(ctx context.Context, tiles receipt.Tiles, p *trust.Policy, state []byte, progress func(n, of uint64)) (ledgerVerdict, error) {
	j := ledgerVerdict{Mode: "tiles"}
	var from receipt.State
	if state != nil {
		if err := json.Unmarshal(state, &from); err != nil {
			return j, err
		}
	}
	w := receipt.Walker{Tiles: tiles, Judge: p.Open, Progress: progress}
	kept, res, err := w.Walk(ctx, from)
	if res.Checkpoint.Origin != "" {
		j.Checkpoint = newCheckpoint(res.Checkpoint)
	}
	j.Entries, j.Records, j.Accesses = res.Walked, res.Kinds[ledger.KindRecord], res.Kinds[ledger.KindAccess]
	j.Statements = res.Kinds[ledger.KindGenesis] + res.Kinds[ledger.KindStatement] + res.Kinds[ledger.KindErasure]
	j.Leaf = hex.EncodeToString(res.Leaf[:])
	if err == nil || errors.Is(err, context.Canceled) { // what was walked before the interruption was good
		raw, jerr := json.Marshal(kept)
		if jerr != nil {
			return j, jerr
		}
		j.State = raw
	}
	return j.bad(err)
}

// lastMilli is the last millisecond that RFC 3339 can write; an entry may have one far behind it.
const lastMilli = 253402300799999

func (f *verifyFlags) judgeReceipt(p *trust.Policy) (ledgerVerdict, error) {
	j := ledgerVerdict{Mode: "receipt"}
	text, err := os.ReadFile(f.receipt)
	if err != nil {
		return j, usageError{err}
	}
	var message []byte
	if f.message != "" {
		if message, err = os.ReadFile(f.message); err != nil {
			return j, usageError{err}
		}
		if message == nil {
			message = []byte{}
		}
	}
	v, err := receipt.Verify(text, p, message)
	if v.Origin != "" {
		j.Checkpoint = newCheckpoint(v.Signed)
	}
	if err != nil {
		return j.bad(&ledger.BadEntry{Index: v.Entry.Index, Err: err})
	}
	leaf := v.Entry.Leaf()
	j.Entries = 1
	j.Entry = &proven{Index: v.Entry.Index, Kind: int(v.Entry.Kind), Time: time.UnixMilli(min(v.Entry.Time, lastMilli)).UTC(),
		Leaf: hex.EncodeToString(leaf[:]), Message: v.Message}
	return j, nil
}

// bad puts a verdict's reason into its place; obstacles have none.
func (j ledgerVerdict) bad(err error) (ledgerVerdict, error) {
	if err == nil || fault.KindOf(err) != fault.Tampered {
		return j, err
	}
	j.Bad = &admin.Bad{Reason: err.Error()}
	if e, ok := errors.AsType[*ledger.BadEntry](err); ok {
		j.Bad.Entry, j.Bad.Reason = e.Index, e.Err.Error()
	}
	if t, ok := errors.AsType[*receipt.BadTile](err); ok {
		j.Bad.Entry, j.Bad.Reason, j.Tile = t.Entry, t.Error(), t.Path
	}
	return j, err
}

// report writes the verdict for people.
func (j ledgerVerdict) report(w io.Writer) {
	switch {
	case j.Bad != nil && j.Mode == "receipt":
		fmt.Fprintf(w, "BAD receipt: %s\n", j.Bad.Reason)
	case j.Bad != nil:
		fmt.Fprintf(w, "BAD at entry %d: %s\n%d entries before it are as written.\n", j.Bad.Entry, j.Bad.Reason, j.Entries)
	case j.Mode == "receipt":
		fmt.Fprintf(w, "Entry %d was recorded at %s and is in the signed log.\n", j.Entry.Index, j.Entry.Time.Format(time.RFC3339))
		if j.Entry.Message {
			fmt.Fprintln(w, "The message is the one that was recorded, byte for byte.")
		}
	case j.Mode == "tiles":
		fmt.Fprintf(w, "%d entries: the chain, the hash tiles and the root are what was signed.\n", j.Entries)
		fmt.Fprintf(w, "  records %d, accesses %d, statements and erasures %d\n  %.0f entries/s\n", j.Records, j.Accesses, j.Statements, j.Rate)
	default:
		fmt.Fprintf(w, "%d entries: the chain and every row are as written.\n", j.Entries)
		fmt.Fprintf(w, "  records %d, erased %d, accesses %d, statements %d\n  leaf %s\n  %.0f entries/s\n",
			j.Records, j.Erased, j.Accesses, j.Statements, j.Leaf, j.Rate)
	}
	if j.Checkpoint != nil && j.Bad == nil {
		fmt.Fprintf(w, "  checkpoint of %s over %d entries", j.Checkpoint.Origin, j.Checkpoint.Size)
		for i, c := range j.Checkpoint.Witnesses {
			fmt.Fprintf(w, "%s %s", map[bool]string{true: ", witnessed by", false: ","}[i == 0], c.Name)
		}
		fmt.Fprintln(w)
	}
}
