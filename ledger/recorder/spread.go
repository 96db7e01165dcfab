package recorder

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// spread calls work for 0 to n-1 on every core, but on no more than one for each few of them. It returns an
// error of one of the calls, if any; a panic in one is a panic of spread.
func spread(n, few int, work func(int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var broken atomic.Pointer[any]
	run := func() {
		defer func() {
			if p := recover(); p != nil {
				broken.Store(&p)
			}
		}()
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			if err := work(i); err != nil {
				failed.Store(&err)
			}
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+few-1)/few) - 1 {
		wg.Go(run)
	}
	run()
	wg.Wait()
	if p := broken.Load(); p != nil {
		panic(*p)
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
