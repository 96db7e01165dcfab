package rx

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var mutate = flag.Bool("mutate", false, "test every changed condition and guard of the machine")

// judged are the files whose conditions and guards are changed.
func judged() []string {
	return []string{"amount.go", "clinic.go", "decide.go", "guards.go", "handover.go", "pharmacy.go", "state.go"}
}

// TestMutants changes every guard and every condition of the machine, one at a time, and runs the tests that tell
// what the machine does. Which changes nobody can see, and why, is in testdata/survivors_source.txt. With -mutate all
// are run; without it the page is only checked to speak of changes that there are.
func TestMutants(t *testing.T) {
	known := survivors(t)
	all, files := mutants(t)
	for what := range known {
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.what == what }) {
			t.Errorf("survivors_source.txt: there is no %s", what)
		}
	}
	if !*mutate {
		t.Logf("%d changes of the source; -mutate tries them", len(all))
		return
	}
	same := 0
	for i, alive := range try(t, all, files) {
		switch what := all[i].what; {
		case alive && !known[what]:
			t.Errorf("survived: %s", what)
		case !alive && known[what]:
			t.Errorf("listed as a survivor, but a test fails: %s", what)
		case alive:
			same++
		}
	}
	t.Logf("%d changes of the source, %d of which do the same; a test fails for each other", len(all), same)
}

// mutant is one change of one file. All are built into one program, which does the one that it is told to.
type mutant struct {
	what          string // "guards.go sent: a → b", with a number where the function says it again
	from, to      int    // in the file
	before, after string // what stands around the original, with %d for the mutant's number
}

// switches is the file that is added to the package: it takes the changed way if that is the mutant asked for.
const switches = `package rx

import (
	"os"
	"strconv"
)

var asked, _ = strconv.Atoi(os.Getenv("RX_MUTANT"))

func either(n int, changed, original func() bool) bool {
	if n == asked {
		return changed()
	}
	return original()
}

func unless(n int, g guard) guard {
	if n == asked {
		return func(*step) fault.Code { return "" }
	}
	return g
}

func gone[T ~string](n int, v T) T {
	if n == asked {
		return "\x00"
	}
	return v
}
`

// survivors reads testdata/survivors_source.txt: a change on a line, and below it, indented, why it changes nothing.
func survivors(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "survivors_source.txt"))
	if err != nil {
		t.Fatal(err)
	}
	known, last := map[string]bool{}, ""
	for l := range strings.Lines(string(text)) {
		l = strings.TrimRight(l, "\n")
		switch {
		case l == "" || strings.HasPrefix(l, "#"):
		case strings.HasPrefix(l, "    "):
			if last == "" {
				t.Errorf("survivors_source.txt: a reason for nothing: %s", l)
			}
			known[last] = true
		default:
			last, known[l] = l, false
		}
	}
	for what, why := range known {
		if !why {
			t.Errorf("survivors_source.txt does not say why: %s", what)
		}
	}
	return known
}

// mutants finds every change that is tried, by file.
func mutants(t *testing.T) (all []mutant, files map[string][]byte) {
	t.Helper()
	files = map[string][]byte{}
	for _, file := range judged() {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		seen, first := map[string]int{}, len(all)
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			x := finder{name: file + " " + f.Name.Name, src: src, set: set}
			ast.Inspect(f.Body, x.find)
			for _, m := range x.found {
				if seen[m.what]++; seen[m.what] > 1 {
					m.what += fmt.Sprintf(" (%d)", seen[m.what])
				}
				all = append(all, m)
			}
		}
		files[file] = woven(src, all[first:], first+1)
	}
	return all, files
}

// woven is a file with all its changes built in, numbered from n on. Where several begin at one place the outermost,
// which was found first, stands outermost.
func woven(src []byte, found []mutant, n int) []byte {
	opens, closes := map[int]string{}, map[int]string{}
	for i, m := range found {
		opens[m.from] += fmt.Sprintf(m.before, n+i)
		closes[m.to] = m.after + closes[m.to]
	}
	var out bytes.Buffer
	for at, b := range src {
		out.WriteString(closes[at] + opens[at])
		out.WriteByte(b)
	}
	return out.Bytes()
}

// finder collects the changes of one function.
type finder struct {
	name  string
	src   []byte
	set   *token.FileSet
	found []mutant
}

func (x *finder) find(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "allowed" {
			for _, g := range n.Args {
				x.add(g, "no guard "+x.text(g), "unless(%d, ", ")")
			}
		}
	case *ast.IfStmt:
		x.negate(n.Cond)
	case *ast.SwitchStmt:
		for _, c := range n.Body.List {
			for _, e := range c.(*ast.CaseClause).List {
				if n.Tag == nil {
					x.negate(e)
				} else {
					x.add(e, "no case "+x.text(e), "gone(%d, ", ")")
				}
			}
		}
	case *ast.BinaryExpr:
		for _, op := range instead(n.Op) {
			x.change(n, x.text(n.X)+" "+op.String()+" "+x.text(n.Y))
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			x.change(n, x.text(n.X))
		}
	}
	return true
}

// negate turns a condition round. Comparisons and negations are turned round where they stand.
func (x *finder) negate(e ast.Expr) {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op != token.LAND && e.Op != token.LOR {
			return
		}
	case *ast.UnaryExpr:
		return
	}
	x.change(e, "!("+x.text(e)+")")
}

func (x *finder) change(e ast.Expr, to string) {
	x.add(e, x.text(e)+" → "+to, "either(%d, func() bool { return "+to+" }, func() bool { return ", " })")
}

func (x *finder) add(e ast.Expr, what, before, after string) {
	at := func(p token.Pos) int { return x.set.Position(p).Offset }
	x.found = append(x.found, mutant{what: x.name + ": " + what, from: at(e.Pos()), to: at(e.End()), before: before, after: after})
}

func (x *finder) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(x.src[x.set.Position(n.Pos()).Offset:x.set.Position(n.End()).Offset])), " ")
}

// instead are the operators that are tried for one.
func instead(op token.Token) []token.Token {
	switch op {
	case token.EQL:
		return []token.Token{token.NEQ}
	case token.NEQ:
		return []token.Token{token.EQL}
	case token.LSS:
		return []token.Token{token.LEQ, token.GEQ}
	case token.LEQ:
		return []token.Token{token.LSS, token.GTR}
	case token.GTR:
		return []token.Token{token.GEQ, token.LEQ}
	case token.GEQ:
		return []token.Token{token.GTR, token.LSS}
	case token.LAND:
		return []token.Token{token.LOR}
	case token.LOR:
		return []token.Token{token.LAND}
	}
	return nil
}

// try builds the tests once with all changes in them, and runs those that are quick and written by hand, once for
// each change. TestDoc and TestEveryCellMatters are not: they hold the machine against itself.
func try(t *testing.T, all []mutant, files map[string][]byte) (alive []bool) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	files["switches.go"] = []byte(strings.Replace(switches, "\n)", "\n\n\t\"github.com/dosewire/dosewire/internal/fault\"\n)", 1))
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(dir, name)] = filepath.Join(tmp, name)
		if err := os.WriteFile(filepath.Join(tmp, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(filepath.Join(tmp, "overlay.json"), overlay, 0o644)); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(tmp, "rx.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", filepath.Join(tmp, "overlay.json"), "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := run(t, program, 0); err != nil {
		t.Fatalf("the machine itself does not pass: %v\n%s", err, out)
	}
	alive = make([]bool, len(all))
	next := make(chan int)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for i := range next {
				_, err := run(t, program, i+1)
				var exit *exec.ExitError
				if err != nil && !errors.As(err, &exit) {
					t.Errorf("%s: %v", all[i].what, err)
				}
				alive[i] = err == nil
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	workers.Wait()
	return alive
}

func run(t *testing.T, program string, n int) ([]byte, error) {
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^Test", "-test.skip=^Test(Mutants|EveryCellMatters|Doc|Walk|ScenarioPage)$",
		"-test.failfast", "-test.timeout=20s")
	cmd.Env = append(os.Environ(), fmt.Sprintf("RX_MUTANT=%d", n))
	return cmd.CombinedOutput()
}
