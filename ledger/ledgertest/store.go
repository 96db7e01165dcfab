package ledgertest

import (
	"context"
	"testing"

	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
)

// Store is everything that a records database offers.
type Store interface {
	ledger.Store
	ledger.Reader
	ledger.Eraser
	directory.Store
	Audit
	// SetOrigin puts SHA-256(origin) into the head while the chain is empty. Once entry 0 exists it
	// changes nothing: nil when the chain was begun under this origin, else ledger.ErrOrigin.
	SetOrigin(ctx context.Context, origin string) error
	// Release ends the lease of term; it does nothing when another has begun.
	Release(ctx context.Context, term uint64) error
	// Entries is what a notary reads.
	Entries(ctx context.Context, from uint64, limit int) ([]ledger.Entry, error)
}

// Backend is one fresh, migrated and empty store. open registers its end with t.Cleanup.
type Backend struct {
	Store
	// Exec runs one SQL statement with exactly the rights that the hub has, and returns the
	// database's error.
	Exec func(ctx context.Context, sql string) error
}

// TestStore runs the suite. open is called once for each subtest.
func TestStore(t *testing.T, open func(testing.TB) Backend) {
	tests := []struct {
		name string
		run  func(*testing.T, Backend)
	}{
		{"Origin", testOrigin},
		{"Genesis", testGenesis},
		{"CommitMovesHead", testCommitMovesHead},
		{"StaleHeadWritesNothing", testStaleHead},
		{"TermMayNotChangeInCommit", testTermInCommit},
		{"ConcurrentCommitsOneWins", testConcurrentCommits},
		{"ForgedChainIsRefused", testForgedChain},
		{"EntriesAreInsertOnly", testInsertOnly},
		{"BehindTheHead", testBehindTheHead},
		{"UniqueKeys", testUniqueKeys},
		{"BigBatch", testBigBatch},
		{"BigRecord", testBigRecord},
		{"FirstTerm", testFirstTerm},
		{"Takeover", testTakeover},
		{"Release", testRelease},
		{"LoadMessages", testLoadMessages},
		{"LoadPrescriptions", testLoadPrescriptions},
		{"LoadCitations", testLoadCitations},
		{"LoadDispenses", testLoadDispenses},
		{"LoadPatients", testLoadPatients},
		{"LoadTherapies", testLoadTherapies},
		{"LoadTokens", testLoadTokens},
		{"Therapy", testTherapy},
		{"LoadNothing", testLoadNothing},
		{"Rows", testRows},
		{"Records", testRecords},
		{"Prescriptions", testPrescriptions},
		{"OrgPrescriptions", testOrgPrescriptions},
		{"Due", testDue},
		{"Unfetched", testUnfetched},
		{"Effects", testEffects},
		{"Acknowledged", testAcknowledged},
		{"Access", testAccess},
		{"Directory", testDirectory},
		{"Links", testLinks},
		{"ErasedLinks", testErasedLinks},
		{"Invitations", testInvitations},
		{"Join", testJoin},
		{"Sessions", testSessions},
		{"Devices", testDevices},
		{"Erasure", testErasure},
		{"Holds", testHolds},
		{"Facts", testFacts},
		{"Quarantine", testQuarantine},
		{"Accounts", testAccounts},
		{"Strays", testStrays},
		{"AllPrescriptions", testAllPrescriptions},
		{"Page", testPage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, open(t))
		})
	}
}
