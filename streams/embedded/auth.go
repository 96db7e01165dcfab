package embedded

import (
	"crypto/subtle"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dosewire/dosewire/streams"
)

// Authenticator says who may connect and what they may do. An error refuses; its text is not shown to
// the client. It is called on the connection's goroutine, once for each connection.
type Authenticator interface {
	Check(user, password string) (streams.Permissions, error)
}

// hubUser is the name of the hub's own connection. It is no UUID, so no client has it.
const hubUser = "hub"

// gate adapts an Authenticator to the server.
type gate struct {
	hub  string // secret of the hub's own connection
	auth Authenticator
}

// Check implements server.Authentication.
func (g *gate) Check(c server.ClientAuthentication) bool {
	given := c.GetOpts()
	if given.Username == hubUser {
		if subtle.ConstantTimeCompare([]byte(given.Password), []byte(g.hub)) != 1 {
			return false
		}
		c.RegisterUser(&server.User{Username: hubUser})
		return true
	}
	if g.auth == nil {
		return false
	}
	allowed, err := g.auth.Check(given.Username, given.Password)
	if err != nil {
		return false
	}
	c.RegisterUser(&server.User{Username: given.Username, Permissions: &server.Permissions{
		Publish:   only(allowed.Publish),
		Subscribe: only(allowed.Subscribe),
	}})
	return true
}

// only allows these subjects. An empty list would mean everything to the server, so then all is denied.
func only(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return &server.SubjectPermission{Deny: []string{">"}}
	}
	return &server.SubjectPermission{Allow: subjects}
}
