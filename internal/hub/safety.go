package hub

import (
	"context"
	"os"

	"github.com/dosewire/dosewire/fhir/safety"
	"github.com/dosewire/dosewire/internal/fault"
)

// present looks whether the code map can be read at all. What is in it is for load: a large map takes seconds,
// and every command validates the configuration.
func (s Safety) present() error {
	if s.Map == "" {
		return nil
	}
	info, err := os.Stat(s.Map)
	switch {
	case err != nil || !info.Mode().IsRegular():
		return fault.New(fault.Invalid, "config: safety.map: the file cannot be read: "+s.Map)
	case info.Size() > safety.MaxMap:
		return fault.New(fault.Invalid, "config: safety.map: "+s.Map+": "+safety.ErrMapSize.Error())
	}
	return nil
}

// load reads the code map, nil when there is none. A mistake is of kind Invalid.
func (s Safety) load() (*safety.Map, error) {
	if s.Map == "" {
		return nil, nil
	}
	if err := s.present(); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(s.Map)
	if err != nil {
		return nil, fault.New(fault.Invalid, "config: safety.map: the file cannot be read: "+s.Map)
	}
	m, err := safety.ParseMap(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "config: safety.map: "+s.Map+": "+err.Error())
	}
	return m, nil
}

// mapped says which code map orders are checked by.
func (h *Hub) mapped(ctx context.Context) {
	if h.classes != nil {
		h.log.InfoContext(ctx, "code map loaded", "codes", h.classes.Len(), "version", "sha256:"+h.classes.SHA256())
	}
}
