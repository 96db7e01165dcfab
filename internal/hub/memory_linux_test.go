package hub

import (
	"slices"
	"testing"
)

// TestPristine: what was written by whomever is not let go of, for it would be lost.
func TestPristine(t *testing.T) {
	const smaps = `00400000-01d73000 r-xp 00000000 fe:00 10003105                           /opt/dose wire
Size:              26060 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
01d73000-0372d000 r--p 01973000 fe:00 10003105                           /opt/dose wire
Size:              26344 kB
Anonymous:             4 kB
Swap:                  0 kB
0372d000-037f0000 r--p 0332d000 fe:00 10003105                           /opt/dose wire
Anonymous:             0 kB
Swap:                  0 kB
037f0000-03800000 rw-p 033f0000 fe:00 10003105                           /opt/dose wire
Anonymous:             0 kB
Swap:                  0 kB
037f0000-037f8000 r--p 033f0000 fe:00 10003105                           /opt/dose wire
Anonymous:             0 kB
Swap:                 64 kB
037f8000-037f9000 r--p 033f8000 fe:00 10003105                           /opt/dose wire
Anonymous:             0 kB
c000000000-c006c00000 rw-p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 77                         /opt/another
Anonymous:             0 kB
Swap:                  0 kB
7f0000002000-7f0000003000 r--p 00000000 fe:00 78                         /opt/wire
Anonymous:             0 kB
Swap:                  0 kB
`
	want := []mapping{{0x400000, 0x1d73000}, {0x372d000, 0x37f0000}}
	if got := pristine(smaps, "/opt/dose wire"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
