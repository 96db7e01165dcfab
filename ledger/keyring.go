package ledger

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

const (
	infoIndex      = "dosewire/index/v1"
	nameHub        = "dosewire/hub/v1"
	nameQuarantine = "dosewire/quarantine/v1"
)

// Sentinels of the keyring.
var (
	ErrUnwrap  = fault.New(fault.Tampered, "ledger: a stored key cannot be unwrapped: it was changed, or another deployment key wrapped it")
	errNoIndex = fault.New(fault.Internal, "ledger: a patient reference names no index key")
	errRace    = fault.New(fault.Unavailable, "ledger: the patient index keeps changing")
)

// PatientKey is a patient with the data key that seals new records. Key is 32 bytes; nobody may
// change or log it.
type PatientKey struct {
	Patient, Org, KeyID ID
	Key                 []byte
	Made                bool // by the call that returns it: nothing of the patient's is anywhere yet
}

// String names the key without showing it.
func (k PatientKey) String() string { return "key " + k.KeyID.String() }

// GoString is String: %#v does not show the key either.
func (k PatientKey) GoString() string { return k.String() }

// PatientRef names a patient by everything that identifies it in one organisation, best first.
type PatientRef struct {
	Org   ID
	Index []Key
}

// Keyring holds the deployment key for the process's life and caches patient keys, at most 10,000
// patients for at most five minutes, the least recently used going first. Safe for concurrent use.
type Keyring struct {
	store   KeyStore
	wrapper KeyWrapper
	macs    sync.Pool // of *mac
	cache   *keyCache

	held       atomic.Pointer[heldKeys] // replaced whole
	refreshing sync.Mutex               // held while asking the wrapper

	// creating is held from looking for patients to having stored the new ones, so that in one
	// process no two callers make the same patient. Between processes the key store decides.
	creating sync.Mutex
}

// OpenKeyring unwraps every generation of the deployment key, making and storing the first on first
// use. Of several processes that start at once, all end with the key that was stored first.
func OpenKeyring(ctx context.Context, s KeyStore, w KeyWrapper) (*Keyring, error) {
	k := &Keyring{store: s, wrapper: w, cache: newKeyCache(cachedPatients, time.Now)}
	k.held.Store(&heldKeys{})
	stored, err := s.Deployment(ctx)
	if err == nil && len(stored) == 0 {
		stored, err = k.addDeployment(ctx, firstGeneration)
	}
	if err != nil {
		return nil, fmt.Errorf("deployment key: %w", err)
	}
	index, err := k.indexKey(ctx, stored)
	if err != nil {
		return nil, err
	}
	k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, index)} }
	return k, k.hold(ctx, stored)
}

// Index is the blind index of an identifier in the scope of org (zero org: of nobody):
// HMAC-SHA-256(index key, parts joined by 0x00).
func (k *Keyring) Index(org ID, parts ...string) Key {
	m := k.macs.Get().(*mac)
	m.text = m.text[:0]
	for i, part := range parts {
		if i > 0 {
			m.text = append(m.text, 0)
		}
		m.text = append(m.text, part...)
	}
	sum := m.of(m.text)
	k.macs.Put(m)
	return Key{Org: org, Hash: sum}
}

// Fingerprint is HMAC-SHA-256(index key, the parts one behind the other), for "same id, other bytes".
func (k *Keyring) Fingerprint(parts ...[]byte) Hash {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	return m.of(parts...)
}

// mac is one HMAC-SHA-256 under the index key, with room for the text of an identifier.
type mac struct {
	hash hash.Hash
	text []byte
	sum  Hash // here, because what is handed to an interface escapes
}

func (m *mac) of(parts ...[]byte) Hash {
	m.hash.Reset()
	for _, p := range parts {
		m.hash.Write(p)
	}
	m.hash.Sum(m.sum[:0])
	return m.sum
}

// ForPatient returns a patient's current key. ErrErased when it is gone.
func (k *Keyring) ForPatient(ctx context.Context, patient ID) (PatientKey, error) {
	if key, ok := k.cache.current(patient); ok {
		return key, nil
	}
	keys, err := k.currentKeys(ctx, []ID{patient}, k.cache.since())
	if err != nil {
		return PatientKey{}, err
	}
	key, ok := keys[patient]
	if !ok {
		return PatientKey{}, ErrErased
	}
	return key, nil
}

// Key returns the key with this id, current or not. ErrErased when it is gone.
func (k *Keyring) Key(ctx context.Context, id ID) (PatientKey, error) {
	if key, ok := k.cache.key(id); ok {
		return key, nil
	}
	since := k.cache.since()
	wrapped, err := k.store.Keys(ctx, []ID{id})
	if err != nil {
		return PatientKey{}, err
	}
	w, ok := wrapped[id]
	if !ok {
		return PatientKey{}, ErrErased
	}
	key, err := k.unwrap(ctx, w)
	if err != nil {
		return PatientKey{}, err
	}
	k.cache.putKey(key, since)
	return key, nil
}

// Hub returns the key for records without a patient (facts about organisations).
func (k *Keyring) Hub(ctx context.Context) (PatientKey, error) {
	return k.own(ctx, k.Index(ID{}, nameHub))
}

// Quarantine returns the key for messages refused on the given day (unix days); it is deleted 30
// days later.
func (k *Keyring) Quarantine(ctx context.Context, day int64) (PatientKey, error) {
	return k.own(ctx, k.Index(ID{}, nameQuarantine, strconv.FormatInt(day, 10)))
}

// own is a key of the hub: that of a patient of nobody, who has one index key.
func (k *Keyring) own(ctx context.Context, index Key) (PatientKey, error) {
	keys, err := k.Patients(ctx, []PatientRef{{Index: []Key{index}}})
	if err != nil {
		return PatientKey{}, err
	}
	return keys[0], nil
}

// Forget drops what is cached of a patient, at once. The erasure of its keys is the key store's. Another
// process serves what it holds for five minutes at most.
func (k *Keyring) Forget(patient ID) { k.cache.forget(patient) }

// KeyIDs returns the ids of all keys of a patient, newest first; none once erased.
func (k *Keyring) KeyIDs(ctx context.Context, patient ID) ([]ID, error) {
	return k.store.PatientKeyIDs(ctx, patient)
}

// Shred deletes the patients that own one of these keys, for ever, and drops what is cached of them
// here. It says how many of the keys were still there. Other processes drop theirs when they are told
// (Forget).
func (k *Keyring) Shred(ctx context.Context, ids []ID) (found int, err error) {
	k.creating.Lock()
	defer k.creating.Unlock()
	found, err = k.store.EraseKeys(ctx, ids)
	if err != nil {
		return 0, err
	}
	k.cache.forgetKeys(ids)
	return found, nil
}

// Scrub removes what deletions left in the key database's files.
func (k *Keyring) Scrub(ctx context.Context) error { return k.store.Scrub(ctx) }

// ForgetAll drops everything cached: another process may have erased patients meanwhile.
func (k *Keyring) ForgetAll() { k.cache.clear() }

// MissingKeys returns those of the ids that the key database does not have.
func (k *Keyring) MissingKeys(ctx context.Context, ids []ID) (missing []ID, err error) {
	have, err := k.store.Keys(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, ok := have[id]; !ok {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// ExpireQuarantine deletes the quarantine keys of the days from first to last (unix days, both
// included) and says how many there were.
func (k *Keyring) ExpireQuarantine(ctx context.Context, first, last int64) (int, error) {
	var index []Key
	for day := first; day <= last; day++ {
		index = append(index, k.Index(ID{}, nameQuarantine, strconv.FormatInt(day, 10)))
	}
	found, err := k.store.FindPatients(ctx, index)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	var ids []ID
	for _, owner := range found {
		of, err := k.store.PatientKeyIDs(ctx, owner)
		if err != nil {
			return 0, err
		}
		ids = append(ids, of...)
	}
	return k.Shred(ctx, ids)
}

// currentKeys reads and caches the current keys of patients; erased ones are absent.
func (k *Keyring) currentKeys(ctx context.Context, patients []ID, since uint64) (map[ID]PatientKey, error) {
	wrapped, err := k.store.PatientKeys(ctx, patients)
	if err != nil {
		return nil, err
	}
	keys := make(map[ID]PatientKey, len(wrapped))
	for patient, w := range wrapped {
		key, err := k.unwrap(ctx, w)
		if err != nil {
			return nil, err
		}
		keys[patient] = key
		k.cache.putCurrent(key, since)
	}
	return keys, nil
}

// wrap protects a data key under the newest deployment key, bound to its organisation and its id.
func (k *Keyring) wrap(key PatientKey) WrappedKey {
	held := k.held.Load()
	return WrappedKey{ID: key.KeyID, Org: key.Org, Patient: key.Patient, Generation: held.newest,
		Blob: held.keks[held.newest].Seal(nil, nil, key.Key, wrapAAD(key.Org, key.KeyID))}
}

func (k *Keyring) unwrap(ctx context.Context, w WrappedKey) (PatientKey, error) {
	kek, err := k.kek(ctx, w.Generation)
	if err != nil {
		return PatientKey{}, err
	}
	key, err := kek.Open(nil, nil, w.Blob, wrapAAD(w.Org, w.ID))
	if err != nil {
		return PatientKey{}, ErrUnwrap.Wrap(err)
	}
	if len(key) != KeySize {
		return PatientKey{}, errKeySize
	}
	return PatientKey{Patient: w.Patient, Org: w.Org, KeyID: w.ID, Key: key}, nil
}

func wrapAAD(org, keyID ID) []byte {
	aad := make([]byte, 0, 32)
	aad = append(aad, org[:]...)
	return append(aad, keyID[:]...)
}

func newKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}

// Cached is the number of patients whose key is held, for metrics.
func (k *Keyring) Cached() int { return k.cache.size() }
