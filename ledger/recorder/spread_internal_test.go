package recorder

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 1000} {
		calls := make([]atomic.Int32, n)
		if err := spread(n, 4, func(i int) error { calls[i].Add(1); return nil }); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Errorf("%d of %d: called %d times", i, n, got)
			}
		}
	}
	bad := errors.New("bad")
	var done atomic.Int32
	err := spread(100, 4, func(i int) error {
		if done.Add(1); i == 50 {
			return bad
		}
		return nil
	})
	if err != bad || done.Load() != 100 {
		t.Errorf("%v after %d calls", err, done.Load())
	}
	defer func() {
		if p := recover(); p != "broken" {
			t.Errorf("recovered %v", p)
		}
	}()
	_ = spread(100, 4, func(i int) error {
		if i == 99 {
			panic("broken")
		}
		return nil
	})
	t.Error("it did not panic")
}
