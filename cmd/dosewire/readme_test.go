package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The quick start in the README is the script that the tests run.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "## Quick start")
	_, block, ok2 := strings.Cut(rest, "```sh\n")
	block, _, ok3 := strings.Cut(block, "```")
	if !ok || !ok2 || !ok3 {
		t.Fatal("README.md has no quick start")
	}
	script, err := os.ReadFile("testdata/script/quickstart.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var run []string
	for line := range strings.Lines(string(script)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "exec "); ok {
			run = append(run, strings.Replace(command, " &hub&", " &", 1))
		}
	}
	if told := strings.Split(strings.TrimSpace(block), "\n"); !slices.Equal(told, run) {
		t.Errorf("README tells\n%s\nand the script runs\n%s", strings.Join(told, "\n"), strings.Join(run, "\n"))
	}
}
