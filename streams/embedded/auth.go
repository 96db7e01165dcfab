package embedded

import (
	"crypto/subtle"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/streams"
)

// Authenticator says who may connect and what they may do. An error refuses; its text is not shown to
// the client. It is called on the connection's goroutine, once for each connection.
type Authenticator interface {
	Check(user, password string) (streams.Permissions, error)
}

// hubUser is the name of the hub's own connection. It is no UUID, so no client has it.
const hubUser = "hub"

// accountPrefix begins the names of organisations' accounts; the hub's is the server's global one.
const accountPrefix = "org-"

var errNobody = fault.New(fault.Denied, "embedded: permissions without an organisation")

// gate adapts an Authenticator to the server.
type gate struct {
	hub  string // secret of the hub's own connection
	auth Authenticator
	ns   *server.Server // set before it listens

	mu   sync.Mutex
	lent map[string]bool // accounts that have their imports; guarded by mu

	from  map[string]string // address of a connection to its organisation, of the latest; guarded by names
	names sync.Mutex
}

// remembered bounds the addresses that are known; it is above what can be connected at once.
const remembered = 2 * maxConnections

// orgOf is the organisation that was last let in from an address, "" if none was.
func (g *gate) orgOf(address string) string {
	g.names.Lock()
	defer g.names.Unlock()
	return g.from[address]
}

func (g *gate) remember(c server.ClientAuthentication, org string) {
	address := c.RemoteAddress()
	if address == nil {
		return
	}
	g.names.Lock()
	defer g.names.Unlock()
	if g.from == nil || len(g.from) >= remembered {
		g.from = map[string]string{}
	}
	g.from[address.String()] = org
}

// Check implements server.Authentication.
func (g *gate) Check(c server.ClientAuthentication) bool {
	given := c.GetOpts()
	if given.Username == hubUser {
		if subtle.ConstantTimeCompare([]byte(given.Password), []byte(g.hub)) != 1 {
			return false
		}
		c.RegisterUser(&server.User{Username: hubUser, Account: g.ns.GlobalAccount()})
		return true
	}
	if g.auth == nil {
		return false
	}
	allowed, err := g.auth.Check(given.Username, given.Password)
	if err != nil {
		return false
	}
	g.mu.Lock() // held until the server counts the connection, so that no two take the last place
	defer g.mu.Unlock()
	account, err := g.account(allowed)
	if err != nil || account.NumConnections() >= MaxConnections {
		return false
	}
	g.remember(c, allowed.Org)
	c.RegisterUser(&server.User{Username: given.Username, Account: account, Permissions: &server.Permissions{
		Publish:   only(allowed.Publish),
		Subscribe: only(allowed.Subscribe),
	}})
	return true
}

// MaxConnections is how many connections an organisation may have at the same time, of maxConnections
// that the server has for all.
const (
	MaxConnections = 64
	maxConnections = 4096
)

// lend makes the hub's account offer what organisations may use.
func (g *gate) lend(ns *server.Server) error {
	g.ns, g.lent = ns, map[string]bool{}
	for _, s := range streams.Services() {
		answers := server.Singleton
		if s.Many {
			answers = server.Streamed
		}
		if err := ns.GlobalAccount().AddServiceExportWithResponse(s.Subject, answers, nil); err != nil {
			return err
		}
	}
	return nil
}

// account is the organisation's own, with what it may publish borrowed from the hub's. It is made when the
// organisation first connects and stays as long as the server. The caller holds mu.
func (g *gate) account(allowed streams.Permissions) (*server.Account, error) {
	if allowed.Org == "" {
		return nil, errNobody
	}
	name := accountPrefix + allowed.Org
	account, _ := g.ns.LookupOrRegisterAccount(name)
	if g.lent[name] {
		return account, nil
	}
	for _, subject := range allowed.Publish {
		if err := account.AddServiceImport(g.ns.GlobalAccount(), subject, subject); err != nil {
			return nil, err
		}
	}
	g.lent[name] = true
	return account, nil
}

// only allows these subjects. An empty list would mean everything to the server, so then all is denied.
func only(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return &server.SubjectPermission{Deny: []string{">"}}
	}
	return &server.SubjectPermission{Allow: subjects}
}
