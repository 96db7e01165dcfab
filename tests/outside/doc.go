// Package outside has other people's programs judge what the notary publishes: Tessera's fsck reads
// the tiles and the entries, transparency-dev's witness cosigns checkpoints and refuses forks, and a
// note verifier on the standard library alone reads the checkpoint.
//
// It is a module of its own, so that none of them become dependencies of dosewire.
package outside
