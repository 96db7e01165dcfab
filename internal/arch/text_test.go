package arch

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

func TestEveryPackageStatesItsPromises(t *testing.T) {
	docs, packages := map[string]string{}, map[string]string{}
	for _, s := range tree(t) {
		if s.test || strings.Contains("/"+s.path, "/testdata/") && s.pkg != "testdata" {
			continue
		}
		packages[s.pkg] = s.file.Name.Name
		if s.file.Doc != nil {
			docs[s.pkg] = s.file.Doc.Text()
		}
	}
	for pkg, name := range packages {
		doc := docs[pkg]
		command := name == "main" && strings.HasPrefix(doc, "Command ")
		if !command && !strings.HasPrefix(doc, "Package "+name+" ") {
			t.Errorf("%s: no comment beginning \"Package %s \"", pkg, name)
			continue
		}
		if pkg != "testdata" && strings.Count(strings.TrimSpace(doc), "\n") < 1 {
			t.Errorf("%s: the comment says what it is, not what it promises", pkg)
		}
	}
}

func TestNoDrawers(t *testing.T) {
	for _, s := range tree(t) {
		for _, word := range []string{"util", "utils", "helper", "helpers", "common", "misc", "shared", "manager"} {
			if path.Base(s.pkg) == word || path.Base(s.path) == word+".go" {
				t.Errorf("%s: a name that says nothing about what is inside", s.path)
			}
		}
	}
}

func TestNothingRunsBeforeMain(t *testing.T) {
	for _, s := range tree(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init: nobody can say from the code when it runs", s.path)
			}
		}
	}
}

// TestNoSilentSkip: a test may be left out only where the public corpus is not beside the checkout,
// and it says so; or with -short.
func TestNoSilentSkip(t *testing.T) {
	for _, s := range tree(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "Skip" && f.Sel.Name != "Skipf" && f.Sel.Name != "SkipNow" {
				return true
			}
			reason := ""
			if len(call.Args) > 0 {
				if lit, ok := call.Args[0].(*ast.BasicLit); ok {
					reason = lit.Value
				}
			}
			if !strings.Contains(reason, "corpus") && !strings.Contains(reason, "short") {
				t.Errorf("%s: a test is left out without a reason that counts (%s)", s.path, reason)
			}
			return true
		})
	}
}

func TestMainIsSmall(t *testing.T) {
	for _, s := range tree(t) {
		if s.path == "cmd/dosewire/main.go" && strings.Count(s.text, "\n") >= 40 {
			t.Errorf("%s has %d lines: main makes a context and a call", s.path, strings.Count(s.text, "\n"))
		}
	}
}
