package ssl

import (
	"math"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// TestTurns: what Rotation shows the encoder is turned as its labels say.
func TestTurns(t *testing.T) {
	const n, side = 16, 8
	b := pixels(0)
	tape := autograd.NewTape(autograd.Training, 0)
	all := NewRotation(newSmall(1), RotationOptions{})
	if _, err := all.Loss(tape, b); err != nil {
		t.Fatal(err)
	}
	at := func(x *tensor.Tensor, plane, row, column int) float32 { return x.Data()[(plane*side+row)*side+column] }
	for k := range 4 * n {
		if all.labels[k] != k/n {
			t.Fatalf("entry %d has label %d", k, all.labels[k])
		}
		for plane := range 3 {
			for y := range side {
				for x := range side {
					row, column := y, x // the pixel that comes to (y, x), counter-clockwise
					for range k / n {
						row, column = column, side-1-row
					}
					if got, want := at(all.turned, 3*k+plane, y, x), at(b.X, 3*(k%n)+plane, row, column); got != want {
						t.Fatalf("entry %d, pixel (%d, %d): %v, want %v", k, y, x, got, want)
					}
				}
			}
		}
	}
	once := NewRotation(newSmall(1), RotationOptions{Random: true, Seed: 3})
	drawn := make(map[int]bool)
	for range 3 {
		tape.Reset()
		if _, err := once.Loss(tape, b); err != nil {
			t.Fatal(err)
		}
		once.Update()
		for i, turns := range once.labels {
			drawn[turns] = true
			compare(t, "a sample turned once", once.turned.Index(i).Data(), all.turned.Index(turns*n+i).Data())
		}
	}
	if len(drawn) != 4 {
		t.Errorf("turns drawn: %v", drawn)
	}
}

// TestTiles: every tile of a jigsaw is cut from the quarter that its label puts there, and
// standardised.
func TestTiles(t *testing.T) {
	const n, side = 6, 32
	x := normal(1, n, 3, side, side)
	for gap, size := range map[int]int{-1: 16, 0: 14, 5: 11} {
		m := NewJigsaw(newSmall(1), JigsawOptions{Gap: gap, Seed: 2})
		m.cut(x)
		if m.tiles.Dim(2) != size || m.tiles.Dim(3) != size {
			t.Fatalf("gap %d: tiles of %v", gap, m.tiles.Shape())
		}
		// cut from the quarter with its corner moved by (dy, dx)?
		same := func(k, place, from, dy, dx int) bool {
			for ch := range 3 {
				tile := m.tiles.Index(place*n + k).Index(ch).Data()
				var part []float64
				sum, square := 0.0, 0.0
				for y := range size {
					for c := range size {
						v := float64(x.Index(k).Index(ch).At(from/2*side/2+dy+y, from%2*side/2+dx+c))
						part, sum, square = append(part, v), sum+v, square+v*v
					}
				}
				mean := sum / float64(len(part))
				std := math.Sqrt(square/float64(len(part)) - mean*mean)
				for i, v := range part {
					if math.Abs((v-mean)/std-float64(tile[i])) > 1e-3 {
						return false
					}
				}
			}
			return true
		}
		moved := false
		for k := range n {
			for place, from := range orders[m.labels[k]] {
				found := false
				for dy := range side/2 - size + 1 {
					for dx := range side/2 - size + 1 {
						if same(k, place, from, dy, dx) {
							found, moved = true, moved || dy+dx > 0
						}
					}
				}
				if !found {
					t.Errorf("gap %d, sample %d: what stands at %d is not cut from quarter %d", gap, k, place, from)
				}
			}
		}
		if moved != (size < side/2) {
			t.Errorf("gap %d: tiles are moved: %v", gap, moved)
		}
	}
}
