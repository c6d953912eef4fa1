package oip

import "sync"

// Stats counts a client's inference requests and their outcomes. Samples are counted as the
// server sees them, with the copies that fill up a fixed batch. A server that remembers no
// ids has served at least Answered samples, and at most Answered + Lost.
type Stats struct {
	Requests int // HTTP requests, retries included
	Retries  int // retries among Requests
	Sent     int // samples in all requests
	Copies   int // samples among Sent that only fill up a fixed batch
	Answered int // samples whose scores arrived
	Resent   int // samples in retries
	// Lost counts the samples of requests without a usable answer. The server may have
	// served and charged them all the same. A request that the server refused (status 4xx),
	// or that did not reach it, is not lost.
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

// Stats returns the counts so far. A request is counted when it is sent; Answered and Lost
// follow when it has ended.
func (c *Client) Stats() Stats {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	return c.tally.Stats
}
