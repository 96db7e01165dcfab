package embedded_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/streams/embedded"
)

// TestConnectionsOfOneOrganization: one credential cannot take the places of all others.
func TestConnectionsOfOneOrganization(t *testing.T) {
	s := start(t, config(t.TempDir()))
	connect := func(org string) (*nats.Conn, error) {
		return nats.Connect(s.URL(), nats.UserInfo(org, "x"), nats.NoReconnect())
	}
	var (
		wg   sync.WaitGroup
		in   atomic.Int64
		mine = make([]*nats.Conn, embedded.MaxConnections+20)
	)
	for i := range mine {
		wg.Go(func() {
			if nc, err := connect("greedy"); err == nil {
				mine[i] = nc
				in.Add(1)
				t.Cleanup(nc.Close)
			}
		})
	}
	wg.Wait()
	if n := in.Load(); n != embedded.MaxConnections {
		t.Errorf("%d connections of one organisation, want %d", n, embedded.MaxConnections)
	}
	nc, err := connect("modest")
	if err != nil {
		t.Fatalf("another organisation: %v", err)
	}
	nc.Close()
	for _, nc := range mine {
		if nc != nil {
			nc.Close()
			break
		}
	}
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if nc, err := connect("greedy"); err == nil {
			nc.Close()
			return
		}
		if time.Now().After(until) {
			t.Fatal("a place that became free is not given again")
		}
	}
}
