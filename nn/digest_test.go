package nn

import "testing"

// TestDigest: a copy has the digest of the original, and every change another.
func TestDigest(t *testing.T) {
	rng := newRand(t)
	m := everything(rng)
	want := Digest(m)
	if got := Digest(Clone(m)); got != want {
		t.Errorf("a copy has digest %s, the original %s", got, want)
	}
	for e := range State(m) {
		v := e.Value().Data()
		last := v[len(v)-1]
		v[len(v)-1]++
		if Digest(m) == want {
			t.Errorf("%s changed, and the digest did not", e.Name)
		}
		v[len(v)-1] = last
	}
	if got := Digest(m); got != want {
		t.Errorf("changed there and back the digest is %s, was %s", got, want)
	}
	SetStatistics(m, Batch)
	if Digest(m) == want {
		t.Error("other statistics have the same digest")
	}
	if Digest(NewSequential(ReLU{})) == Digest(NewSequential(Tanh{})) {
		t.Error("ReLU and Tanh have one digest")
	}
}
