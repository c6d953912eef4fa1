package oip

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRedirects: a redirect that would turn the POST into a GET is refused with the
// address to take; one that keeps it is followed with the samples. Both are the
// server's, so nothing was charged.
func TestRedirects(t *testing.T) {
	var calls atomic.Int64
	h := NewHandler(linear(t, &calls), HandlerOptions{})
	back := httptest.NewServer(h)
	defer back.Close()
	secure := httptest.NewTLSServer(h)
	defer secure.Close()
	trust := &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{back.URL, secure.URL} {
			calls.Store(0)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, to+r.URL.Path, code)
			}))
			c, err := Dial(context.Background(), front.URL+"/v2/models/lin", Options{TLS: trust})
			if err != nil {
				t.Fatal(err)
			}
			x, out := images(1), make([]float64, 4)
			err = c.Scores(context.Background(), x, out)
			switch {
			case code >= 307 && (err != nil || calls.Load() != 1):
				t.Errorf("%d: %v", code, err)
			case code >= 307:
				equal(t, out, want(t, x))
			case err == nil || !strings.Contains(err.Error(), fmt.Sprintf("status %d", code)) || !strings.Contains(err.Error(), "dial "+to+"/v2/models/lin,") ||
				strings.Contains(err.Error(), "tries") || calls.Load() != 0:
				t.Errorf("%d: %v; want an error that names %s", code, err, to)
			}
			if s := c.Stats(); code < 307 && (s != Stats{Requests: 1, Sent: 1}) {
				t.Errorf("%d: %+v", code, s)
			}
			front.Close()
		}
	}
}

// TestRedirectsKeepSecrets: a token goes to the host that was dialled, and not on to
// another, nor from https to http.
func TestRedirectsKeepSecrets(t *testing.T) {
	var calls atomic.Int64
	h := NewHandler(linear(t, &calls), HandlerOptions{Token: "secret"})
	var leaked atomic.Bool
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "127.0.0.1") && r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		h.ServeHTTP(w, r)
	}))
	defer back.Close()
	u, _ := url.Parse(back.URL)
	front := func(tls bool, host string) (*httptest.Server, Options) {
		redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+host+":"+u.Port()+r.URL.Path, http.StatusPermanentRedirect)
		})
		o := Options{Model: "lin", Token: "secret", Backoff: time.Millisecond}
		if !tls {
			return httptest.NewServer(redirect), o
		}
		s := httptest.NewTLSServer(redirect)
		o.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
		return s, o
	}
	same, opt := front(false, "127.0.0.1")
	defer same.Close()
	c, err := Dial(context.Background(), same.URL, opt)
	if err == nil {
		err = c.Scores(context.Background(), images(1), make([]float64, 4))
	}
	if err != nil {
		t.Errorf("another port of the same host: %v", err)
	}
	// Names that lead to the same server: localhost is another host than 127.0.0.1.
	other, opt := front(false, "localhost")
	defer other.Close()
	_, err = Dial(context.Background(), other.URL, opt)
	if err == nil || leaked.Load() || !strings.Contains(err.Error(), "which is not sent the bearer token; dial that address") || !strings.Contains(err.Error(), "localhost:"+u.Port()) {
		t.Errorf("%v; leaked %v", err, leaked.Load())
	}
	down, opt := front(true, "127.0.0.1")
	defer down.Close()
	if _, err := Dial(context.Background(), down.URL, opt); err == nil || !strings.Contains(err.Error(), "redirects from https to http://127.0.0.1") {
		t.Errorf("from https to http: %v", err)
	}
	round := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer round.Close()
	var asked atomic.Int64
	o := Options{Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { asked.Add(1); return nil }}}
	if _, err := Dial(context.Background(), round.URL+"/v2/models/lin", o); err == nil || !strings.Contains(err.Error(), "more than 10 redirects") || strings.Contains(err.Error(), "tries") {
		t.Errorf("in a circle: %v", err)
	}
	if asked.Load() != 9 || o.Client.CheckRedirect == nil {
		t.Errorf("the client's own check of redirects was asked %d times, want 9", asked.Load())
	}
}

// TestTokenOfASubdomain: another host of the same domain is another host, where
// net/http would take the token along.
func TestTokenOfASubdomain(t *testing.T) {
	for to, keeps := range map[string]bool{"https://model.example/2": true, "https://model.example:444/": true, "https://sub.model.example/": false, "https://example/": false} {
		first := httptest.NewRequest("POST", "https://model.example/1", nil)
		next := httptest.NewRequest("POST", to, nil)
		next.Header.Set("Authorization", "Bearer secret")
		if err := redirects(nil)(next, []*http.Request{first}); err != nil || (next.Header.Get("Authorization") != "") != keeps {
			t.Errorf("%s: %v, token %q", to, err, next.Header.Get("Authorization"))
		}
	}
}
