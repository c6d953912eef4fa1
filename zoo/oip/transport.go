package oip

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/zoo"
)

// A reply is an HTTP answer with status 200.
type reply struct {
	body   []byte
	header string
}

// maxReply bounds what is read of one answer.
const maxReply = 1 << 28

// statusError is an answer with another status.
type statusError struct {
	code  int
	text  string
	after time.Duration
}

func (e *statusError) Error() string {
	s := strings.TrimSpace(fmt.Sprintf("status %d %s: %s", e.code, http.StatusText(e.code), e.text))
	if e.code == http.StatusUnauthorized || e.code == http.StatusForbidden {
		s += " (the bearer token, Options.Token, is missing or not accepted)"
	}
	return s
}

// answered reports whether err is an answer with one of the statuses.
func answered(err error, codes ...int) bool {
	var s *statusError
	return errors.As(err, &s) && slices.Contains(codes, s.code)
}

// noTLS reports whether the server answered in another protocol than TLS.
func noTLS(err error) bool {
	var h tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &h)
}

// untrusted reports whether the server's certificate was refused.
func untrusted(err error) bool {
	var v *tls.CertificateVerificationError
	return errors.As(err, &v)
}

// passing reports whether trying again may help.
func passing(err error) (bool, time.Duration) {
	var s *statusError
	if errors.As(err, &s) {
		return s.code == http.StatusTooManyRequests || s.code == http.StatusRequestTimeout || s.code >= 500, s.after
	}
	return !noTLS(err) && !untrusted(err), 0
}

// retrying sends a request until it is answered, retries are used up, or the
// failure is one that trying again will not mend. lo and hi say which samples of the
// call it carries; they are equal if it is no inference.
func (c *Client) retrying(ctx context.Context, method, address string, body []byte, header string, lo, hi int) (*reply, error) {
	samples := c.filled(hi - lo)
	wait := c.opt.Backoff
	for try := 0; ; try++ {
		if err := c.pace(ctx, samples); err != nil {
			return nil, err
		}
		if samples > 0 && try > 0 {
			c.retried.Add(1)
			if err := zoo.Resend(ctx, lo, hi); err != nil {
				return nil, err
			}
		}
		if samples > 0 {
			c.sent.Add(1)
			c.samples.Add(int64(samples))
		}
		r, err := c.once(ctx, method, address, body, header)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		again, after := passing(err)
		if !again {
			return nil, err
		}
		if try >= c.opt.Retries {
			return nil, fmt.Errorf("%w (after %d tries)", err, try+1)
		}
		if err := sleep(ctx, max(wait, after)); err != nil {
			return nil, err
		}
		wait = min(2*wait, 30*time.Second)
	}
}

// pace waits until the rate limit lets a request of that many samples go.
func (c *Client) pace(ctx context.Context, samples int) error {
	if c.opt.Rate <= 0 || samples == 0 {
		return nil
	}
	c.mu.Lock()
	now := time.Now()
	at := c.nextRun
	if at.Before(now) {
		at = now
	}
	c.nextRun = at.Add(time.Duration(float64(samples) / c.opt.Rate * float64(time.Second)))
	c.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// once sends a request once.
func (c *Client) once(ctx context.Context, method, address string, body []byte, header string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		if header != "" {
			req.Header.Set("Content-Type", "application/octet-stream")
			req.Header.Set(HeaderLength, header)
		}
	}
	if c.opt.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opt.Token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxReply {
		return nil, &statusError{code: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("an answer of more than %d bytes", maxReply)}
	}
	if res.StatusCode != http.StatusOK {
		e := &statusError{code: res.StatusCode}
		var msg ErrorBody
		if json.Unmarshal(b, &msg) == nil {
			e.text = msg.Error
		} else {
			e.text = string(b[:min(len(b), 200)])
		}
		e.after = retryAfter(res.Header.Get("Retry-After"))
		return nil, e
	}
	return &reply{b, res.Header.Get(HeaderLength)}, nil
}

// retryAfter reads the header's two forms, seconds or a date; at most a minute
// is granted.
func retryAfter(v string) time.Duration {
	var d time.Duration
	if s, err := strconv.Atoi(v); err == nil {
		d = time.Duration(s) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = time.Until(t)
	}
	return min(max(d, 0), time.Minute)
}
