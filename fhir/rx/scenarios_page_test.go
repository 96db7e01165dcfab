package rx

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
)

// TestScenarioPage holds docs/scenarios.md against the tests and codes that it names.
func TestScenarioPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "scenarios.md"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, _, ok := strings.Cut(string(page), "## NHS")
	if !ok {
		t.Fatal("the page has no part about the NHS")
	}
	named, tested, without := map[string]bool{}, 0, 0
	for _, row := range rows(string(page)) {
		test := row[len(row)-1]
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(test, -1) {
			named[quoted[1]] = true
			if !exists(t, quoted[1]) {
				t.Errorf("%s: there is no test %s", row[0], quoted[1])
			}
		}
		for _, code := range regexp.MustCompile("`(RX_[A-Z_]+)`").FindAllStringSubmatch(strings.Join(row, " "), -1) {
			if _, ok := fault.Lookup(fault.Code(code[1])); !ok {
				t.Errorf("%s: there is no code %s", row[0], code[1])
			}
		}
		if test == "" && !strings.HasPrefix(row[2], "none: ") {
			t.Errorf("%s has neither a test nor a reason", row[0])
		}
	}
	for name := range scenarios() {
		if !named["TestScenarios/"+name] {
			t.Errorf("the page does not name TestScenarios/%s", name)
		}
	}
	for name := range eps() {
		if !named["TestEPS/"+name] {
			t.Errorf("the page does not name TestEPS/%s", name)
		}
	}
	for _, row := range rows(theirs) {
		if row[len(row)-1] == "" {
			without++
		} else {
			tested++
		}
	}
	if tested != 60 || without != 35 || !strings.Contains(theirs, "**60 of 95 are tested; 35 have no counterpart**") {
		t.Errorf("%d of gematik's scenarios are tested, %d are not: the page says otherwise", tested, without)
	}
}

// rows are the rows of the page's tables, without headings.
func rows(page string) (all [][]string) {
	head := true
	for l := range strings.Lines(page) {
		l = strings.TrimSpace(l)
		switch {
		case !strings.HasPrefix(l, "|"):
			head = true
		case strings.HasPrefix(l, "|---"):
			head = false
		case !head:
			var cells []string
			for c := range strings.SplitSeq(strings.Trim(l, "|"), "|") {
				cells = append(cells, strings.TrimSpace(c))
			}
			all = append(all, cells)
		}
	}
	return all
}

// exists reports whether there is a test of that name: one of ours, or "folder TestName" of another package.
func exists(t *testing.T, name string) bool {
	t.Helper()
	if of, ok := strings.CutPrefix(name, "TestScenarios/"); ok {
		return scenarios()[of] != nil
	}
	if of, ok := strings.CutPrefix(name, "TestEPS/"); ok {
		return eps()[of] != nil
	}
	folder, test, ok := strings.Cut(name, " ")
	if !ok {
		return false
	}
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == test {
				return true
			}
		}
	}
	return false
}
