package directory

import (
	"bytes"
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

// Apply puts changed rows in place, each replacing the one with its id. The slices are copied.
// Concurrent calls are applied one after the other.
func (d *Directory) Apply(orgs []ledger.Organization, clients []ledger.Client) {
	if len(orgs) == 0 && len(clients) == 0 {
		return
	}
	d.applying.Lock()
	defer d.applying.Unlock()
	s := d.now.Load().copy()
	for _, o := range orgs {
		o.Identifiers, o.Intents = slices.Clone(o.Identifiers), slices.Clone(o.Intents)
		s.orgs[o.ID] = o
	}
	for _, c := range clients {
		s.clients[c.ID] = c
	}
	s.index()
	d.now.Store(s)
}

func (s *snapshot) copy() *snapshot {
	c := &snapshot{orgs: map[uuid.UUID]ledger.Organization{}, clients: map[uuid.UUID]ledger.Client{}}
	maps.Copy(c.orgs, s.orgs)
	maps.Copy(c.clients, s.clients)
	return c
}

// index fills identifiers. The recorder lets nobody register what another has; should the rows say
// otherwise, the older organisation keeps it (ids are time-ordered), on every node alike.
func (s *snapshot) index() {
	s.identifiers = map[ledger.Identifier]uuid.UUID{}
	for id, o := range s.orgs {
		for _, i := range o.Identifiers {
			if first, taken := s.identifiers[i]; !taken || bytes.Compare(id[:], first[:]) < 0 {
				s.identifiers[i] = id
			}
		}
	}
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

// ByIdentifier finds the organisation that was registered with an identifier, disabled or not.
func (d *Directory) ByIdentifier(system, value string) (ledger.Organization, bool) {
	s := d.now.Load()
	id, ok := s.identifiers[ledger.Identifier{System: system, Value: value}]
	if !ok {
		return ledger.Organization{}, false
	}
	o, ok := s.orgs[id]
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
