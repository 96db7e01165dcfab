// Package arch tests the shape of the repository: who may import whom, who alone may import what,
// and that every package states its promises.
//
// It reads the sources with go/parser and the import graph of the program with go list; it holds no
// code of its own. A rule that is broken fails with the file and the reason for the rule.
package arch
