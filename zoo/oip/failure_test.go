package oip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mettleml/mettle/zoo"
)

// foreign is a server that is not ours: metadata of the model lin as JSON, and what it
// does with inference.
func foreign(metadata string, infer http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/lin", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, metadata) })
	mux.HandleFunc("GET /v2/models/lin/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v2/models/lin/infer", infer)
	return mux
}

// linMetadata describes what images and info have.
const linMetadata = `{"name":"lin","inputs":[{"name":"x","datatype":"FP32","shape":[-1,1,2,3]}],"outputs":[{"name":"scores","datatype":"FP32","shape":[-1,4]}]}`

// says is an inference handler that answers the same to everything.
func says(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// TestServersWordsReachTheUser: whatever form they have.
func TestServersWordsReachTheUser(t *testing.T) {
	long := strings.Repeat("déjà vu ", 100)
	for _, c := range []struct {
		code int
		body string
		want string // the whole text behind the status
	}{
		{400, `{"error":"shown"}`, "shown"},
		{422, `{"detail":[{"loc":["body","inputs",0,"shape"],"msg":"field required","type":"value_error"}]}`, "body.inputs.0.shape: field required"},
		{422, `{"detail":[{"loc":["a"],"msg":"one"},{"loc":["b"],"msg":"two"}]}`, "a: one; b: two"},
		{403, `{"message":"Missing Authentication Token"}`, "Missing Authentication Token (the bearer token, Options.Token, is missing or not accepted)"},
		{400, `{"code":400,"type":"BadRequestException","message":"wrong shape"}`, "wrong shape"},
		{400, `{"error":{"code":400,"message":"wrong shape","status":"INVALID_ARGUMENT"}}`, "wrong shape"},
		{400, `{"error":{"code":3}}`, `{"error":{"code":3}}`},
		{400, `{"Message":"by a gateway","error_message":""}`, "by a gateway"},
		{400, `{"fault":{"faultstring":"quota","detail":{"errorcode":"policies.QuotaViolation"}}}`, "quota"},
		{400, `{"timestamp":1,"status":400,"error":"Bad Request","message":"no input x"}`, "Bad Request: no input x"},
		{400, `{"type":"about:blank","title":"Invalid","detail":"Invalid input"}`, "Invalid: Invalid input"},
		{400, `{"errors":[{"msg":"a"},{"other":"b"},"c"]}`, `a; {"other":"b"}; c`},
		{400, `["no", "input"]`, "no; input"},
		{400, `"just a string"`, "just a string"},
		{400, `{"why":"unknown words"}`, `{"why":"unknown words"}`},
		{400, "upstream:\n\tshown\n", "upstream: shown"},
		{400, "<html><head><title>400</title><style>p{}</style></head>\r\n<body><center><h1>400 Bad&nbsp;Request</h1></center><hr>nginx</body></html>", "400 Bad Request nginx"},
		{400, "<html><head><title>Denied &amp; logged</title></head><body></body></html>", "Denied & logged"},
		{400, "<nil>", "<nil>"},
		{400, "\x1b[31mred\x07\xff", "[31mred\uFFFD"}, // no escapes for the terminal
		{400, long, string([]rune(long)[:299]) + "…"},
		{400, "{}", ""}, {400, "", ""}, {400, "null", ""}, {400, `{"error":""}`, `{"error":""}`},
	} {
		v := dial(t, foreign(linMetadata, says(c.code, c.body)), Options{Encoding: JSON, Retries: -1})
		err := v.Scores(context.Background(), images(1), make([]float64, 4))
		want := fmt.Sprintf(`oip: model "lin": status %d %s`, c.code, http.StatusText(c.code))
		if c.want != "" {
			want += ": " + c.want
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%v", c.body, err, want)
		}
	}
}

// TestStatus200WithAnError: it is an error, that may pass, and never a score.
func TestStatus200WithAnError(t *testing.T) {
	const outputs = `"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]`
	for body, say := range map[string]string{
		`{"error":"model is loading"}`:                  "status 200 OK, but with an error: model is loading (after 2 tries)",
		`{"detail":"Not Found"}`:                        "with an error: Not Found",
		`{"error":{"message":"no"},` + outputs + `}`:    "with an error: no",
		`{"error":true,"message":"no",` + outputs + `}`: "with an error: no",
		`{"error":{"code":13},` + outputs + `}`:         `{"error":{"code":13}`,
		`{"errors":["a"],` + outputs + `}`:              "with an error: a",
		// These are none.
		`{"error":null,` + outputs + `}`:                         "",
		`{"error":null,"message":"served by b",` + outputs + `}`: "",
		`{"error":"","errors":[],"fault":{},` + outputs + `}`:    "",
		`{"error":{"code":0,"message":""},` + outputs + `}`:      "",
		`{"message":"served by b","detail":7,` + outputs + `}`:   "",
	} {
		var asked atomic.Int64
		v := dial(t, foreign(linMetadata, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); io.WriteString(w, body) }), Options{Retries: 1})
		out := make([]float64, 4)
		err := v.Scores(context.Background(), images(1), out)
		if say == "" && (err != nil || out[3] != 4 || asked.Load() != 1) || say != "" && (err == nil || !strings.Contains(err.Error(), say) || asked.Load() != 2) {
			t.Errorf("%s: %v after %d requests, want %q", body, err, asked.Load(), say)
		}
	}
	// So are readiness and metadata.
	for path, body := range map[string]string{"/ready": `{"error":"no such model"}`, "/v2/models/lin": `{"detail":"no such model"}`} {
		h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
		_, err := tryDial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, path) {
				io.WriteString(w, body)
				return
			}
			h.ServeHTTP(w, r)
		}), Options{Retries: -1})
		if err == nil || !strings.Contains(err.Error(), "no such model") {
			t.Errorf("%s answers %s: %v", path, body, err)
		}
	}
}

// garbled are answers of status 200 that are none.
var garbled = map[string]string{
	"cut":       `{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2`,
	"count":     `{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}`,
	"miscount":  `{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2,3]}]}`,
	"page":      "<html><body>the proxy restarts</body></html>",
	"empty":     "",
	"nothing":   "null",
	"no output": `{"outputs":[]}`,
	"id":        `{"id":"another's","outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}`,
	"error":     `{"error":"model is loading"}`,
}

// TestGarbledAnswersAreAskedForAgain: one that is cut off, a page of a proxy, another
// number of scores do not end a run, and before a request is sent again it is told.
func TestGarbledAnswersAreAskedForAgain(t *testing.T) {
	for name, body := range garbled {
		for _, enc := range []Encoding{Binary, JSON} {
			var told, broken atomic.Int64
			var late atomic.Bool
			h := NewHandler(linear(t, new(atomic.Int64)), HandlerOptions{})
			c := dial(t, faulty(h, 2, func(w http.ResponseWriter, r *http.Request) {
				if told.Load() != broken.Add(1)-1 {
					late.Store(true)
				}
				io.WriteString(w, body)
			}), Options{Encoding: enc})
			ctx := zoo.WithResend(context.Background(), func(lo, hi int) error { told.Add(int64(hi - lo)); return nil })
			x, out := images(1), make([]float64, 4)
			if err := c.Scores(ctx, x, out); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			equal(t, out, want(t, x))
			s := Stats{Requests: 3, Retries: 2, Sent: 3, Answered: 1, Resent: 2, Lost: 2}
			if c.Stats() != s || told.Load() != 2 || late.Load() {
				t.Errorf("%s: %+v, want %+v; told of %d, late: %v", name, c.Stats(), s, told.Load(), late.Load())
			}
		}
	}
	// After the retries, the error quotes what came.
	for name, body := range garbled {
		if name == "error" {
			continue // its words are told
		}
		c := dial(t, foreign(linMetadata, says(200, body+strings.Repeat(" ", 2000))), Options{Retries: 2})
		err := c.Scores(context.Background(), images(1), make([]float64, 4))
		begin := fmt.Sprintf("%q", body[:min(len(body), 40)])
		if body == "" {
			begin = "it is empty"
		}
		if !errors.Is(err, zoo.ErrBadVictim) || !strings.Contains(err.Error(), strings.Trim(begin, `"`)) || !strings.Contains(err.Error(), "after 3 tries") || len(err.Error()) > 500 {
			t.Errorf("%s: %v; want an error that quotes %s", name, err, begin)
		}
	}
}

// TestAnswersThatStay: what the victim itself answers is not asked for again.
func TestAnswersThatStay(t *testing.T) {
	data := func(s string) string {
		return `{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,4],"data":[1,` + s + `,3,4]}]}`
	}
	for body, say := range map[string]string{
		data("null"): "null", data("NaN"): "a value is NaN", data("-Infinity"): "a value is Infinity", data("Infinity"): "a value is Infinity",
		data("1e39"): "out of range", data(`"2"`): "not a number", data("true"): "not a number",
	} {
		var asked atomic.Int64
		c := dial(t, foreign(linMetadata, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); io.WriteString(w, body) }), Options{})
		err := c.Scores(context.Background(), images(1), make([]float64, 4))
		if !errors.Is(err, zoo.ErrBadVictim) || !strings.Contains(err.Error(), say) || asked.Load() != 1 {
			t.Errorf("%s: %v after %d requests; want one and %q", body, err, asked.Load(), say)
		}
	}
	for scores, kind := range map[string]zoo.ScoreKind{"-5": zoo.Probabilities, "1.5": zoo.LogProbabilities} {
		var asked atomic.Int64
		c := dial(t, foreign(linMetadata, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); io.WriteString(w, data(scores)) }), Options{Scores: kind})
		if err := c.Scores(context.Background(), images(1), make([]float64, 4)); !errors.Is(err, zoo.ErrBadVictim) || asked.Load() != 1 {
			t.Errorf("%s as %v: %v after %d requests", scores, kind, err, asked.Load())
		}
	}
	// Statuses are told apart too.
	for code, want := range map[int]int64{400: 1, 401: 1, 404: 1, 409: 1, 413: 1, 501: 1, 505: 1, 408: 2, 425: 2, 429: 2, 500: 2, 502: 2, 503: 2, 504: 2, 599: 2, 204: 1} {
		var asked atomic.Int64
		c := dial(t, foreign(linMetadata, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(code) }), Options{Encoding: JSON, Retries: 1})
		if err := c.Scores(context.Background(), images(1), make([]float64, 4)); err == nil || asked.Load() != want {
			t.Errorf("status %d: %v after %d requests, want %d", code, err, asked.Load(), want)
		}
	}
}

// FuzzErrorText: any body gives a short line that a terminal can show.
func FuzzErrorText(f *testing.F) {
	for _, s := range []string{`{"detail":[{"loc":["body",0],"msg":"field required"}]}`, "<html><body>x</body>", "plain \x1b[0m", `[[[{"error":{"message":1e5}}]]]`, `{"error":`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []string{errorText(b), errorIn(b, true), errorIn(b, false)} {
			if utf8.RuneCountInString(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q", s)
			}
		}
		if strict, any := errorIn(b, true), errorIn(b, false); strict != "" && any == "" {
			t.Fatalf("an error %q only if fewer names count", strict)
		}
		if len(beginning(b)) > 600 {
			t.Fatalf("a beginning of %d bytes", len(beginning(b)))
		}
	})
}

// TestSlowAnswers: an answer that never ends is given up, with the time that was waited.
func TestSlowAnswers(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}
	c := dial(t, foreign(linMetadata, drip), Options{Retries: 1})
	c.opt.Timeout = 100 * time.Millisecond
	err := c.Scores(context.Background(), images(1), make([]float64, 4))
	if err == nil || !strings.Contains(err.Error(), "within 100ms (Options.Timeout)") || !strings.Contains(err.Error(), "after 2 tries") || c.Stats().Lost != 2 {
		t.Errorf("%v, %+v", err, c.Stats())
	}
}

// TestUnserved: a request that was refused, or not sent, is not charged.
func TestUnserved(t *testing.T) {
	_, refused := http.Get("http://127.0.0.1:1/")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{refused, true}, {&statusError{code: 404}, true}, {&statusError{code: 429}, true}, {&statusError{code: 408}, false}, {&statusError{code: 301}, true},
		{&statusError{code: 500}, false}, {&statusError{code: 501}, true}, {&statusError{code: 200}, false}, {&redirectError{}, true},
		{io.ErrUnexpectedEOF, false}, {unfit{errors.New("NaN")}, false}, {context.Canceled, false},
	} {
		if got := unserved(fmt.Errorf("oip: %w", c.err)); got != c.want {
			t.Errorf("%v: not served %v, want %v", c.err, got, c.want)
		}
	}
}
