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
