package definitions

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
)

//go:embed r4.txt.gz
var compressed []byte

// Text is the table. It panics when the program was built with a damaged one, which its test excludes.
func Text() string {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		panic("definitions: " + err.Error())
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic("definitions: " + err.Error())
	}
	return string(text)
}
