package attack

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// FuzzEntry: what can be read is written as it was, and nothing else panics.
func FuzzEntry(f *testing.F) {
	for _, e := range []Entry{
		{Kind: EntryIntent, Call: 1, N: 2, Digest: 3}, {Kind: EntryAgain, N: 1}, {Kind: EntryScores, N: 2, Scores: []float64{1, 2, 3, 4}},
		{Kind: EntryLabels, N: 2, Labels: []int{0, 3}}, {Kind: EntryEvaluations, N: 1, Evaluations: []zoo.Evaluation{{Loss: -1, Label: 2}}},
		{Kind: EntryDone, Done: &Record{Name: "x", Adversarial: &Pixels{Shape: []int{1}, DType: "U8", Data: []byte{7}}}, Seconds: 1},
	} {
		b, err := e.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Entry
		if e.UnmarshalBinary(b) != nil {
			return
		}
		again, err := e.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != EntryDone && !bytes.Equal(again, b) {
			t.Fatalf("%x comes back as %x", b, again)
		}
		if e.Done != nil && e.Done.Adversarial != nil {
			e.Done.Adversarial.Tensor()
		}
		readLog([]Entry{e, e})
	})
}

// FuzzSpec: options that are accepted are shown, and read back as they are shown.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"attack": "square", "options": {"Norm": "Linf", "Loss": {"hinge": {"Kappa": 1}}}}`))
	f.Add([]byte(`{"attack": "autozoom", "preset": "mnist", "options": {"Decoder": {"learned": {"Code": [1]}}}}`))
	f.Add([]byte(`{"attack": "zoo", "options": {"Sizes": [1, 2], "Switch": null}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Spec
		if json.Unmarshal(b, &s) != nil {
			return
		}
		a, err := s.Build(nil)
		if err != nil {
			return
		}
		shown, err := EncodeOptions(a)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		back, err := Spec{Attack: s.Attack, Options: shown}.Build(nil)
		if err != nil {
			t.Fatalf("%s shows %s: %v", b, shown, err)
		}
		again, err := EncodeOptions(back)
		if err != nil || !bytes.Equal(again, shown) {
			t.Fatalf("%s comes back as %s, %v", shown, again, err)
		}
	})
}
