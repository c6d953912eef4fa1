package ssl

import "testing"

// TestRecipe: every method has one, rates are scaled by the batch where the papers do so, and
// rise before they fall to 0.
func TestRecipe(t *testing.T) {
	for _, name := range Names() {
		if _, _, err := Recipe(name, 128, 100, 10); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]float64{"simclr": 0.6, "rotation": 0.1} {
		o, rate, err := Recipe(name, 512, 100, 10)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "the rate of "+name, o.LR, want, 1e-12)
		near(t, "that of the first step", rate(0), want/10, 1e-12)
		near(t, "that of half of the steps", rate(50), want/2, 1e-12)
		near(t, "that of the end", rate(100), 0, 1e-12)
		if o.Momentum != 0.9 || o.WeightDecay == 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if _, _, err := Recipe("simclear", 128, 100, 10); err == nil {
		t.Error("an unknown method has a recipe")
	}
}
