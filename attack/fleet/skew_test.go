package fleet

import "time"

// SetSkew makes this process read a wall clock that is wrong by d; its monotonic clock is
// right, as on a machine whose time is not set.
func SetSkew(d time.Duration) {
	clockNow = func() time.Time { return time.Now().Add(d) }
}
