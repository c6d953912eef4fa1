package zoo

import "context"

type requestKey struct{}

// WithRequestID names the call that ctx is passed to. A remote victim sends the
// name along, so that a server which remembers names serves a repeated call
// from memory.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the name that WithRequestID gave, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

type resendKey struct{}

// WithResend has again called before any part of the call that ctx is passed to is
// sent once more: samples lo to hi of the call, whose answer did not come. The
// victim may have served them already, so who keeps count of what may be paid for
// learns of it there. An error of again ends the call. It may be called by several
// goroutines at once.
func WithResend(ctx context.Context, again func(lo, hi int) error) context.Context {
	return context.WithValue(ctx, resendKey{}, again)
}

// Resend calls what WithResend gave, if anything. It is for adapters of victims: one
// that sends anything again must call it first.
func Resend(ctx context.Context, lo, hi int) error {
	if again, ok := ctx.Value(resendKey{}).(func(lo, hi int) error); ok {
		return again(lo, hi)
	}
	return nil
}
