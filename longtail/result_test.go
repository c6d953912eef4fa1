package longtail

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// aResult is the record of a run of three classes.
func aResult(t *testing.T, seed uint64, acc float64) Result {
	t.Helper()
	var h History
	for e := 1; e <= 7; e++ {
		h.Add(Epoch{e, 1 / float64(e), acc - 0.01*float64((7-e)%3)})
	}
	h.Add(Epoch{2, 0.5, 0.9})
	for e := 3; e <= 7; e++ {
		h.Add(Epoch{e, 1 / float64(e), acc - 0.01*float64(7-e)})
	}
	r := Recipe{
		Method: "LDAM-DRW", Data: "clouds", Test: "test", TestDigest: "cd", Model: "MLP", Seed: seed, Epochs: 7, BatchSize: 32,
		Options: struct {
			LR    float64 `json:"lr"`
			Decay float64 `json:"a_decay"` // JSON of a map has other order
		}{0.1, 5e-4},
	}.On(&Subset{Name: "exp-10/first", Digest: "ab", Counts: []int{100, 30, 10}})
	some := acc / 2
	res, err := r.Finish(Report{Acc: acc, Balanced: acc, Few: &some, Rule: Shots.Name, PerClass: []float64{1, 0.5, 0.2}, ECE: 0.1}, h, Cost{70, 2240, 1.5})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestResult(t *testing.T) {
	r := aResult(t, 3, 0.5)
	if !near(*r.AccLast5, 0.48) || r.AccBest != 0.9 || r.BestEpoch != 2 || r.Imbalance != 10 || len(r.History) != 7 || r.Stamp.Kernel == "" || r.Stamp.Module == "" {
		t.Errorf("%+v", r)
	}
	b, err := EncodeResults([]Result{r})
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("method data subset digest imbalance model seed epochs steps acc acc_last5 acc_best many medium few ece seconds") {
		if _, ok := list[0][name]; !ok {
			t.Errorf("no %s in %s", name, b)
		}
	}
	back, err := DecodeResults(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EncodeResults(back)
	if err != nil {
		t.Fatal(err)
	}
	if third, err := DecodeResults(again); err != nil || !reflect.DeepEqual(third, back) {
		t.Errorf("%v: results change by being written", err)
	}
	if none, err := EncodeResults(nil); err != nil || string(none) != "[]\n" {
		t.Errorf("%q, %v", none, err)
	}
	// Without the last five epochs there is no mean of them.
	h := append(append(History{}, r.History[:4]...), r.History[5:]...)
	if gap, err := r.Recipe.Finish(r.Report, h, r.Cost); err != nil || gap.AccLast5 != nil {
		t.Errorf("%+v, %v", gap, err)
	}
	if mean, ok := (History{{1, 0, 0.25}, {2, 0, 0.75}}).Last(5, 2); !ok || mean != 0.5 {
		t.Errorf("last 5 of 2: %v %v", mean, ok)
	}
	if best := (History{{1, 0, 0.5}, {2, 0, 0.75}, {3, 0, 0.75}}).Best(); best.Epoch != 2 {
		t.Errorf("epoch %d is called best", best.Epoch)
	}
	if _, ok := (History{}).Last(5, 0); ok {
		t.Error("the mean of no epoch")
	}
}

func TestBadResults(t *testing.T) {
	for want, spoil := range map[string]func(r *Result){
		"method is missing":                   func(r *Result) { r.Method = "" },
		"digest is missing":                   func(r *Result) { r.Digest = "" },
		"test_digest is missing":              func(r *Result) { r.TestDigest = "" },
		"0 epochs":                            func(r *Result) { r.Epochs = 0 },
		"does not end with epoch 8":           func(r *Result) { r.Epochs = 8 },
		"and accuracy 0.4":                    func(r *Result) { r.Acc = 0.4 },
		"is called best":                      func(r *Result) { r.AccBest = 0.5 },
		"epoch 3 of its history":              func(r *Result) { r.History[3].Epoch = 3 },
		"few is 43, no share":                 func(r *Result) { r.Few = new(float64); *r.Few = 43 },
		"per_class of class 1 is NaN":         func(r *Result) { r.PerClass[1] = math.NaN() },
		"acc of epoch 4 is -1":                func(r *Result) { r.History[3].Acc = -1 },
		"-1 steps":                            func(r *Result) { r.Steps = -1 },
		"unsupported value: NaN":              func(r *Result) { r.History[0].Loss = math.NaN() },
		"json: unsupported type: func(int)":   func(r *Result) { r.Options = func(int) {} },
		`the result of "LDAM-DRW", seed 3: s`: func(r *Result) { r.Subset = "" },
	} {
		r := aResult(t, 3, 0.5)
		spoil(&r)
		if _, err := EncodeResults([]Result{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := (Recipe{Method: "CE"}).Finish(Report{}, nil, Cost{}); err == nil || !strings.Contains(err.Error(), "without a history") {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`{}`:                `cannot unmarshal object`,
		`[{}]`:              `entry 0: longtail: the result of "", seed 0: method is missing`,
		`[] 1`:              `more after the array`,
		`[{"seed": -1}]`:    `seed`,
		`[{"epochs": 1e9}]`: `epochs`,
		``:                  `EOF`,
	} {
		if _, err := DecodeResults([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzDecodeResults(f *testing.F) {
	b, err := EncodeResults([]Result{aResult(&testing.T{}, 1, 0.5)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := DecodeResults(b)
		if err != nil {
			return
		}
		if b, err = EncodeResults(list); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := DecodeResults(b); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}

func TestSummarize(t *testing.T) {
	a, b, c := aResult(t, 1, 0.5), aResult(t, 2, 0.6), aResult(t, 5, 0.64)
	other := aResult(t, 1, 0.55)
	other.Options = map[string]any{"lr": 0.1, "a_decay": 2e-4}
	text, err := EncodeResults([]Result{b}) // as another process left it
	if err != nil {
		t.Fatal(err)
	}
	read, err := DecodeResults(text)
	if err != nil {
		t.Fatal(err)
	}
	c.Many, c.AccLast5 = new(float64), nil
	list, err := Summarize([]Result{a, other, read[0], c})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || !reflect.DeepEqual(list[0].Seeds, []uint64{1, 2, 5}) || list[1].Acc.N != 1 || list[1].Acc.Std != nil {
		t.Fatalf("%+v", list)
	}
	s := list[0]
	std := math.Sqrt((0.08*0.08 + 0.02*0.02 + 0.06*0.06) / 2)
	if !near(s.Acc.Mean, 0.58) || !near(*s.Acc.Std, std) || s.Acc.Min != 0.5 || s.Acc.Max != 0.64 || !near(s.Few.Mean, 0.29) || s.Many != nil || s.AccLast5 != nil || !near(s.AccBest.Mean, 0.9) {
		t.Errorf("%+v", s)
	}
	if got := []string{s.Acc.Percent(), SpreadOf(0.5, 0.6).Percent(), list[1].Acc.Percent()}; !reflect.DeepEqual(got, []string{"58.0 ± 7.2", "55.0 (50.0 to 60.0)", "55.0"}) {
		t.Error(got)
	}
	panics(t, "no numbers", func() { SpreadOf() })
	if _, err := Summarize([]Result{a, a}); err == nil || !strings.Contains(err.Error(), "have seed 1") {
		t.Error(err)
	}
	b.Rule = ShotsOLTR.Name
	if _, err := Summarize([]Result{a, b}); err == nil || !strings.Contains(err.Error(), "group classes by") {
		t.Error(err)
	}
}

func TestMeasureCalibration(t *testing.T) {
	o := &eval.Outputs{Y: tensor.FromSlice([]float32{2, 0, 0, 1, 3, 0}, 3, 2), Labels: []int{0, 1, 1}}
	r, c := Measure(o, Groups{}), o.Calibration(15)
	if r.ECE != c.ECE || r.MCE != c.MCE || r.NLL != c.NLL || r.Brier != c.Brier || len(r.Bins) != 15 || !(c.MCE > c.ECE) || !(c.NLL > 0) || c.NLL == c.Brier {
		t.Errorf("%+v, want %+v", r, c)
	}
}
