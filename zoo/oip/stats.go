package oip

import "sync"

// Stats counts what a client sent for inference and what became of it. Samples are
// counted as the server sees them: copies that fill up a fixed batch are among them. A
// server that remembers no ids has served at least Answered samples, and at most
// Answered + Lost.
type Stats struct {
	Requests int // HTTP requests, with those that were sent again
	Retries  int // requests that were sent again
	Sent     int // samples in all requests
	Copies   int // samples among Sent that only fill up a fixed batch
	Answered int // samples whose scores came
	Resent   int // samples in the requests that were sent again
	// Lost are the samples of requests whose answer did not come, or was none, so that
	// nobody knows whether the server served them: possibly charged for nothing, or twice
	// where they were sent again. A request that the server refused (status 4xx), or that
	// did not reach it, is not lost.
	Lost int
}

// A tally is a Stats that several goroutines change.
type tally struct {
	mu sync.Mutex
	Stats
}

// sending counts a request before it is sent.
func (t *tally) sending(samples, copies int, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Requests++
	t.Sent += samples
	t.Copies += copies
	if again {
		t.Retries++
		t.Resent += samples
	}
}

// ended counts what became of a request.
func (t *tally) ended(samples int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.Answered += samples
	case !unserved(err):
		t.Lost += samples
	}
}

// Stats returns the counts so far. Requests under way are in Sent, and in none of the
// others yet.
func (c *Client) Stats() Stats {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	return c.tally.Stats
}
