package soak

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestStartIsShed: below a memory limit the hub keeps no pages of the program in memory that only its start needed.
func TestStartIsShed(t *testing.T) {
	p := build(t)
	pages := func(limit string) (kB int) {
		p.env = append(p.env, "DOSEWIRE_MEMORY_LIMIT="+limit)
		p.start()
		status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(status, []byte("RssFile:"))
		if _, err := fmt.Sscan(strings.TrimSpace(string(rest)), &kB); err != nil {
			t.Fatal(err)
		}
		p.kill()
		return kB
	}
	kept, shed := pages("-1"), pages("100")
	t.Logf("pages of the program once it serves: %d kB kept, %d kB shed", kept, shed)
	if shed > kept*4/5 {
		t.Errorf("%d kB of the program in memory once it serves, %d kB without a limit", shed, kept)
	}
}
