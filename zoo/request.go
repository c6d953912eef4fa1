package zoo

import "context"

type requestKey struct{}

// WithRequestID gives the call with the returned context an id. A remote victim sends the
// id along, so a server that remembers ids answers a repeated call from memory.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID returns the id that WithRequestID put into ctx, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

type resendKey struct{}

// WithResend returns a context whose calls announce retries: before samples lo to hi of a
// call are sent again, again is called. The victim may have served, and charged for, these
// samples already, so again lets a caller count them. An error of again ends the call.
// Several goroutines may call again at once.
func WithResend(ctx context.Context, again func(lo, hi int) error) context.Context {
	return context.WithValue(ctx, resendKey{}, again)
}

// Resend calls the function that WithResend put into ctx, if any. An adapter of a victim
// must call it before it sends any samples again.
func Resend(ctx context.Context, lo, hi int) error {
	if again, ok := ctx.Value(resendKey{}).(func(lo, hi int) error); ok {
		return again(lo, hi)
	}
	return nil
}
