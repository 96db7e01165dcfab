package push

import (
	"errors"
	"sync"

	"github.com/dosewire/dosewire/ledger"
)

var errInFlight = errors.New("push: a wake of this device is under way")

// flights holds the devices that are being woken. The stream keeps one wake of a device, but copies of
// those it replaced may have been fetched already: while one is sent, the others are given back, and
// only the newest still exists when it is due again. So a burst is at most two notifications.
type flights struct {
	mu      sync.Mutex // guards devices
	devices map[ledger.ID]struct{}
}

func newFlights() *flights { return &flights{devices: map[ledger.ID]struct{}{}} }

// begin is false while another wake of the device is under way; otherwise end must be called.
func (f *flights) begin(device ledger.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, busy := f.devices[device]; busy {
		return false
	}
	f.devices[device] = struct{}{}
	return true
}

func (f *flights) end(device ledger.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.devices, device)
}
