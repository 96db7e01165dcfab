package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dosewire/dosewire"

// source is one Go file of ours.
type source struct {
	path    string // slashes, relative to the root
	pkg     string // folder, "" for the root
	test    bool
	file    *ast.File
	text    string
	imports []string
}

// root walks up to go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above")
		}
		dir = filepath.Dir(dir)
	}
}

// tree parses every Go file of the repository.
func tree(t *testing.T) (all []source) {
	t.Helper()
	base := root(t)
	err := filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != base && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, name)
		if err != nil {
			return err
		}
		all = append(all, newSource(filepath.ToSlash(rel), file, string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found: the walk is broken", len(all))
	}
	return all
}

func newSource(name string, file *ast.File, text string) source {
	s := source{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), file: file, text: text}
	if s.pkg == "." {
		s.pkg = ""
	}
	for _, i := range file.Imports {
		p, _ := strconv.Unquote(i.Path.Value) // the parser has read it
		s.imports = append(s.imports, p)
	}
	return s
}

// under reports whether pkg is dir or inside it.
func under(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

func underAny(pkg string, dirs []string) bool {
	for _, d := range dirs {
		if under(pkg, d) {
			return true
		}
	}
	return false
}
