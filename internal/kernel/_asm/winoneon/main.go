// Command winoneon writes the innermost loops of Winograd convolution, F(4x4,3x3),
// for arm64 to standard output: assembly, or with the argument go its declarations.
//
// A pixel, or a position of a transformed tile, is 16 neighbouring channels: four
// vectors, done one quarter after the other. The Go functions in
// winograd_generic.go say what each loop does.
package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// pixel is the size of a block's pixel in bytes.
const pixel = 64

func main() { Main("winoneon", generate, nil) }

func generate() {
	constants()
	pack()
	unpack()
	input()
	output()
	gradient()
	filter()
	filterGradient()
	for rows := 2; rows <= maxRows; rows += 2 {
		product(rows)
		outer(rows)
	}
}

// begin begins a function.
func begin(name, signature, doc string) { Func("wino"+name+"NEON", signature, doc) }

// repeat generates a loop of n rounds, n in a register that counts down, unless it
// is fixed.
func repeat(label string, counter, fixed int, body func()) {
	if fixed > 0 {
		Line("MOVD $%d, R%d", fixed, counter)
	}
	Label("%s", label)
	body()
	Line("SUBS $1, R%d", counter)
	Line("BNE %s", label)
}

// advance adds bytes to each of the registers.
func advance(bytes int, regs ...int) {
	for _, r := range regs {
		Line("ADD $%d, R%d", bytes, r)
	}
}

// move copies registers, from and to in turn.
func move(pairs ...int) {
	for i := 0; i < len(pairs); i += 2 {
		Line("MOVD R%d, R%d", pairs[i], pairs[i+1])
	}
}

// multiples sets n registers from first on to 1, 2, ... times step.
func multiples(first, n, step int) {
	if first != step {
		move(step, first)
	}
	for i := 1; i < n; i++ {
		Line("ADD R%d, R%d, R%d", step, first+i-1, first+i)
	}
}

// free lists the vector registers that hold nothing.
var free []int

// reserve frees all vector registers but the last n.
func reserve(n int) {
	free = free[:0]
	for v := 31 - n; v >= 0; v-- {
		free = append(free, v)
	}
}

func take() int {
	v := free[len(free)-1]
	free = free[:len(free)-1]
	return v
}

func give(v ...int) { free = append(free, v...) }

// copyOf returns a fresh register that holds v.
func copyOf(v int) int {
	r := take()
	Move(r, v)
	return r
}

// loadAt reads the vector i steps behind base, storeAt writes it; multiples has set
// the registers from first on.
func loadAt(v, base, first, i int) {
	if i == 0 {
		Vec(v, base, 0)
	} else {
		VecAt(v, base, first+i-1)
	}
}

func storeAt(v, base, first, i int) {
	if i == 0 {
		Put(v, base, 0)
	} else {
		PutAt(v, base, first+i-1)
	}
}
