package oip

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A statusError is an answer that tells of a failure: by its status, or by an error in
// the body beside status 200.
type statusError struct {
	code  int
	text  string        // what the server says of it
	after time.Duration // how long the server asks to wait
	to    string        // the other host that answered after a redirect, without the token
}

func (e *statusError) Error() string {
	s := strings.TrimSpace(fmt.Sprintf("status %d %s", e.code, http.StatusText(e.code)))
	if e.code == http.StatusOK {
		s += ", but with an error"
	}
	if e.text != "" {
		s += ": " + e.text
	}
	if e.after > 0 {
		s += fmt.Sprintf(" (the server asks to wait %v)", e.after.Round(time.Second))
	}
	if e.code == http.StatusUnauthorized || e.code == http.StatusForbidden {
		if e.to != "" {
			return s + fmt.Sprintf(" (the server redirects to %s, which is not sent the bearer token; dial that address)", e.to)
		}
		s += " (the bearer token, Options.Token, is missing or not accepted)"
	}
	return s
}

// A redirectError is a redirect that is not followed.
type redirectError struct{ why string }

func (e *redirectError) Error() string { return e.why }

// unfit is an answer, or a part of one, that another try would not mend.
type unfit struct{ error }

func (e unfit) Unwrap() error { return e.error }

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

// passing reports whether trying again may help, and how long the server asks to wait.
func passing(err error) (bool, time.Duration) {
	var s *statusError
	if errors.As(err, &s) {
		switch s.code {
		case http.StatusOK, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true, s.after
		}
		return s.code >= 500 && s.code != http.StatusNotImplemented && s.code != http.StatusHTTPVersionNotSupported, s.after
	}
	var r *redirectError
	var u unfit
	return !noTLS(err) && !untrusted(err) && !errors.As(err, &r) && !errors.As(err, &u), 0
}

// unserved reports whether err shows that the server did not serve the request: it was
// not reached, or it refused.
func unserved(err error) bool {
	var s *statusError
	if errors.As(err, &s) {
		return s.code/100 == 3 || s.code/100 == 4 && s.code != http.StatusRequestTimeout ||
			s.code == http.StatusNotImplemented || s.code == http.StatusHTTPVersionNotSupported
	}
	var r *redirectError
	var n *net.OpError
	return noTLS(err) || untrusted(err) || errors.As(err, &r) || errors.As(err, &n) && (n.Op == "dial" || n.Op == "proxyconnect")
}

// maxText is how many characters of a server's words are told.
const maxText = 300

// errorText is what a server says in the body of a failure, on one line: the words of a
// JSON object, an HTML page without its marks, or the text itself.
func errorText(b []byte) string {
	var v any
	if d := json.NewDecoder(bytes.NewReader(b)); !decodes(d, &v) {
		return short(visible(string(b)), maxText)
	}
	text := said(v)
	if text == "" && v != nil && len(bytes.TrimSpace(b)) > 2 { // more than {} or []
		text = string(b)
	}
	return short(text, maxText)
}

// errorIn returns the error that a JSON body of status 200 reports, or "". With strict only
// a field named for an error counts, as in an answer that also has outputs.
func errorIn(b []byte, strict bool) string {
	var v map[string]any
	if d := json.NewDecoder(bytes.NewReader(b)); !decodes(d, &v) {
		return ""
	}
	for k, f := range v {
		if slices.Contains(errorNames[:3], plain(k)) && holds(f) {
			return errorText(b)
		}
	}
	if strict {
		return ""
	}
	return short(said(v), maxText)
}

// holds reports whether a JSON value is or has anything but null, false, 0 and "".
func holds(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, holds)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), holds)
	}
	return v != nil && v != false && v != "" && v != json.Number("0")
}

// decodes reports whether d holds one JSON value and nothing else.
func decodes(d *json.Decoder, v any) bool {
	d.UseNumber()
	return d.Decode(v) == nil && !d.More()
}

// errorNames are the names under which servers say what is wrong, in the order in
// which they are told. The first three are of nothing else.
var errorNames = []string{"error", "errors", "fault", "title", "message", "errormessage", "msg", "faultstring", "errordescription", "description", "reason", "detail", "details"}

// plain is a name without case and marks, so that errorMessage and error_message are one.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// said collects a server's words from a JSON value.
func said(v any) string {
	var parts []string
	add := func(text string) {
		if text != "" && !slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(p, text) }) {
			parts = append(parts, text)
		}
	}
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		if v != "0" {
			return v.String()
		}
	case []any:
		for _, e := range v {
			text := said(e)
			if _, ok := e.(map[string]any); ok && text == "" {
				b, _ := json.Marshal(e)
				text = string(b)
			}
			add(text)
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		named := map[string]any{}
		for k, e := range v {
			named[plain(k)] = e
		}
		for _, k := range errorNames {
			add(said(named[k]))
		}
		text := strings.Join(parts, ": ")
		if loc, ok := named["loc"].([]any); ok && text != "" { // FastAPI tells where
			var path []string
			for _, e := range loc {
				path = append(path, fmt.Sprint(e))
			}
			return strings.Join(path, ".") + ": " + text
		}
		return text
	}
	return ""
}

var (
	unseen = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)\s*>|<!--.*?-->`)
	title  = regexp.MustCompile(`(?is)<title\b[^>]*>(.*?)</title`)
	mark   = regexp.MustCompile(`(?s)<[!/?a-zA-Z][^>]*(>|$)`)
)

// visible is what a reader sees of a text that may be an HTML page.
func visible(s string) string {
	if !strings.HasPrefix(strings.TrimSpace(s), "<") {
		return s
	}
	body := html.UnescapeString(mark.ReplaceAllString(unseen.ReplaceAllString(s, " "), " "))
	if strings.TrimSpace(body) != "" {
		return body
	}
	if t := title.FindStringSubmatch(s); t != nil {
		return html.UnescapeString(t[1])
	}
	return s
}

// short is a text on one line of at most n characters that a terminal prints as they are.
func short(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// beginning quotes the beginning of what came instead of an answer.
func beginning(b []byte) string {
	if len(bytes.TrimSpace(b)) == 0 {
		return "it is empty"
	}
	const most = 120
	if len(b) <= most {
		return fmt.Sprintf("it is %q", b)
	}
	return fmt.Sprintf("it begins with %q", b[:most])
}
