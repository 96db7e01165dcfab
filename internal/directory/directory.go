package directory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/ledger"
)

// Directory is the organisations and clients in memory. The recorder applies each fact after its
// commit; other nodes reload. Safe for concurrent use.
type Directory struct {
	applying sync.Mutex
	now      atomic.Pointer[snapshot]
}

var _ auth.Directory = (*Directory)(nil)

// snapshot is never changed once it is in place.
type snapshot struct {
	orgs        map[uuid.UUID]ledger.Organization
	clients     map[uuid.UUID]ledger.Client
	identifiers map[ledger.Identifier]uuid.UUID
}

// New makes one from the stored rows.
func New(orgs []ledger.Organization, clients []ledger.Client) *Directory {
	d := &Directory{}
	d.now.Store(&snapshot{})
	d.Apply(orgs, clients)
	return d
}

// Apply puts changed rows in place, each replacing the one with its id.
func (d *Directory) Apply(orgs []ledger.Organization, clients []ledger.Client) {
	if len(orgs) == 0 && len(clients) == 0 && d.now.Load().orgs != nil {
		return
	}
	d.applying.Lock()
	defer d.applying.Unlock()
	old := d.now.Load()
	s := &snapshot{orgs: map[uuid.UUID]ledger.Organization{}, clients: map[uuid.UUID]ledger.Client{}, identifiers: map[ledger.Identifier]uuid.UUID{}}
	maps.Copy(s.orgs, old.orgs)
	maps.Copy(s.clients, old.clients)
	for _, o := range orgs {
		s.orgs[o.ID] = o
	}
	for _, c := range clients {
		s.clients[c.ID] = c
	}
	for id, o := range s.orgs {
		for _, i := range o.Identifiers {
			s.identifiers[i] = id
		}
	}
	d.now.Store(s)
}

// Organization returns one by id.
func (d *Directory) Organization(id uuid.UUID) (ledger.Organization, bool) {
	o, ok := d.now.Load().orgs[id]
	return o, ok
}

// Organizations returns all, by name.
func (d *Directory) Organizations() []ledger.Organization {
	return slices.SortedFunc(maps.Values(d.now.Load().orgs), func(a, b ledger.Organization) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID.String(), b.ID.String()))
	})
}

// ByIdentifier finds the organisation that was registered with an identifier.
func (d *Directory) ByIdentifier(system, value string) (ledger.Organization, bool) {
	s := d.now.Load()
	o, ok := s.orgs[s.identifiers[ledger.Identifier{System: system, Value: value}]]
	return o, ok
}

// Client returns the hash of a client's secret and whom it acts for. ok is false when it, or its
// organisation, is unknown or disabled.
func (d *Directory) Client(id uuid.UUID) (secret [32]byte, org uuid.UUID, role auth.Role, ok bool) {
	s := d.now.Load()
	c, known := s.clients[id]
	o, member := s.orgs[c.Org]
	if !known || !member || c.Disabled || o.Disabled {
		return secret, org, "", false
	}
	return c.Secret, c.Org, auth.Role(o.Kind), true
}
