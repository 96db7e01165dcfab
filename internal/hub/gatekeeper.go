package hub

import (
	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/streams"
)

// gatekeeper lets organisations into the broker: who they are by auth, what they may do by streams.
type gatekeeper struct{ verifier *auth.Verifier }

// Check is called by the broker for every connection but the hub's own.
func (g gatekeeper) Check(user, password string) (streams.Permissions, error) {
	who, err := g.verifier.Password(user, password)
	if err != nil {
		return streams.Permissions{}, err
	}
	return streams.PermissionsFor(who.Org.String()), nil
}
