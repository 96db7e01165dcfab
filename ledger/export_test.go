package ledger

import "time"

// SetClock gives the cache another clock.
func (k *Keyring) SetClock(now func() time.Time) { k.cache.now = now }
