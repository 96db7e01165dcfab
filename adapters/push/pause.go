package push

import (
	"sync"
	"time"

	"github.com/dosewire/dosewire/ledger"
)

const (
	firstPause   = time.Minute
	longestPause = 15 * time.Minute
)

// pauses remembers which push services refuse us. A patient can make a subscription that is always
// refused (one made under another VAPID key), so one device's refusals delay that device only; a
// second device refused without a success between them pauses the service.
type pauses struct {
	mu       sync.Mutex // guards services
	services map[string]refusals
}

type refusals struct {
	device ledger.ID
	length time.Duration // of the present or last pause; 0 = never paused since the last success
	until  time.Time
}

func newPauses() *pauses { return &pauses{services: map[string]refusals{}} }

// left is how long the service is still paused.
func (p *pauses) left(service string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.services[service].until.Sub(now), 0)
}

func (p *pauses) accepted(service string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.services, service)
}

// refused notes a refusal and returns when the wake may be tried again.
func (p *pauses) refused(service string, device ledger.ID, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, before := p.services[service]
	switch {
	case !before || (r.device == device && r.length == 0):
		p.services[service] = refusals{device: device}
		return longestPause
	case now.Before(r.until):
		return r.until.Sub(now) // it was under way when the pause began
	}
	r.device = device
	r.length = min(max(2*r.length, firstPause), longestPause)
	r.until = now.Add(r.length)
	p.services[service] = r
	return r.length
}
