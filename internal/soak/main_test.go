package soak

import (
	"os"
	"testing"

	"github.com/dosewire/dosewire/internal/testenv"
)

// database is one PostgreSQL for the tests here.
var database testenv.Shared

// TestMain runs the tests, or is one of several recorders that a test has started.
func TestMain(m *testing.M) {
	if os.Getenv(recorderEnv) != "" {
		os.Exit(beRecorder())
	}
	os.Exit(database.Run(m))
}
