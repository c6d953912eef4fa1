package oip_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// brightness is a victim with the classes dark and bright.
func brightness() zoo.Scorer {
	info := zoo.Info{Name: "brightness", Shape: []int{1, 2, 2}, Classes: 2, Scores: zoo.Probabilities}
	return zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			mean := x.Index(i).Mean()
			out[2*i], out[2*i+1] = 1-mean, mean
		}
		return nil
	})
}

// A server in another process, or on another machine, becomes a victim by its address.
func ExampleDial() {
	server := httptest.NewServer(oip.NewHandler(brightness(), oip.HandlerOptions{}))
	defer server.Close()

	ctx := context.Background()
	victim, err := oip.Dial(ctx, server.URL+"/v2/models/brightness", oip.Options{Scores: zoo.Probabilities, Rate: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, note := range victim.Notes() {
		fmt.Println(note)
	}
	fmt.Println(victim.Info().Shape, victim.Info().Classes)

	x := tensor.New(2, 1, 2, 2) // a black image and a light gray one
	x.Index(1).Fill(0.75)
	scores := make([]float64, 2*2)
	if err := victim.Scores(ctx, x, scores); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scores)
	stats := victim.Stats()
	fmt.Printf("%d samples sent, %d answered, %d lost\n", stats.Sent, stats.Answered, stats.Lost)
	// Output:
	// [1 2 2] 2
	// [1 0 0.25 0.75]
	// 2 samples sent, 2 answered, 0 lost
}

// A server that does not describe its tensors is told by the options.
func ExampleDial_withoutMetadata() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/custom", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"name":"custom","inputs":[],"outputs":[]}`)
	})
	mux.HandleFunc("POST /v2/models/custom/infer", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"model_name":"custom","outputs":[{"name":"probs","datatype":"FP32","shape":[1,3],"data":[0.5,0.25,0.25]}]}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	victim, err := oip.Dial(context.Background(), server.URL+"/v2/models/custom", oip.Options{
		Input: "pixels", Shape: []int{3, 32, 32},
		Output: "probs", Classes: 3, Scores: zoo.Probabilities,
		Batch: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	scores := make([]float64, 3)
	fmt.Println(victim.Scores(context.Background(), tensor.New(1, 3, 32, 32), scores), scores)
	// Output: <nil> [0.5 0.25 0.25]
}

// A Handler serves a victim of our own, for a client in any language.
func ExampleHandler() {
	handler := oip.NewHandler(brightness(), oip.HandlerOptions{Remember: 100})
	server := httptest.NewServer(handler) // or http.ListenAndServe("localhost:8080", handler)
	defer server.Close()

	body := `{"id": "7", "inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 2, 2], "data": [1, 1, 0, 0]}]}`
	for range 2 { // the second time from memory
		res, err := http.Post(server.URL+"/v2/models/brightness/infer", "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			fmt.Println(err)
			return
		}
		var answer oip.Response
		err = json.NewDecoder(res.Body).Decode(&answer)
		res.Body.Close()
		fmt.Println(err, answer.Outputs[0].Name, answer.Outputs[0].Shape, string(answer.Outputs[0].Data))
	}
	fmt.Println(handler.Served(), "sample served")
	// Output:
	// <nil> scores [1 2] [0.5,0.5]
	// <nil> scores [1 2] [0.5,0.5]
	// 1 sample served
}

// A victim with an HTTP interface of its own needs one function: it sends the samples,
// and writes one row of scores for each. What ScorerFunc is given is checked: a score
// that the function leaves out, or that is NaN, is an error. A function that sends
// anything again calls zoo.Resend first, so that a campaign counts what may be charged
// twice.
func Example_ownProtocol() {
	// The server of somebody else: pixels in, names with probabilities out.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Pixels []float32 }
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || len(req.Pixels) != 4 {
			http.Error(w, "four pixels, please", http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(map[string]float32{"bright": req.Pixels[0], "dark": 1 - req.Pixels[0]})
	}))
	defer server.Close()

	classes := []string{"dark", "bright"}
	ask := func(ctx context.Context, pixels []float32, out []float64) error {
		body, err := json.Marshal(map[string]any{"pixels": pixels})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, "POST", server.URL, bytes.NewReader(body))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("the server answers %s", res.Status)
		}
		var answer map[string]float64
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return err
		}
		for k, name := range classes {
			p, ok := answer[name]
			if !ok {
				return fmt.Errorf("the answer lacks class %q: %w", name, zoo.ErrBadVictim)
			}
			out[k] = p
		}
		return nil
	}
	info := zoo.Info{Name: "theirs", Shape: []int{1, 2, 2}, Classes: len(classes), Scores: zoo.Probabilities, Digest: server.URL}
	victim := zoo.ScorerFunc(info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			if err := ask(ctx, x.Index(i).Data(), out[i*len(classes):(i+1)*len(classes)]); err != nil {
				return err
			}
		}
		return nil
	})

	x := tensor.New(2, 1, 2, 2)
	x.Index(1).Fill(0.75)
	labels := make([]int, 2)
	err := zoo.LabelsOf(victim).Labels(context.Background(), x, labels)
	fmt.Println(classes[labels[0]], classes[labels[1]], err)
	// Output: dark bright <nil>
}
