package kernel

// packWeights arranges w as the tiles read it: for every group, sub, chunk of
// channels and strip of results a block [channel, tap][row].
func (p *convPlan) packWeights(dst, w []float32, data bool) {
	k := p.kernel
	// w[m*rowStep + c*colStep + tap] of a group.
	rowStep, colStep := p.c*k, k
	if data {
		rowStep, colStep = k, p.m*k
	}
	for g := range p.groups {
		src := w[g*p.m*p.c*k:]
		for i := range p.subs {
			sub := &p.subs[i]
			taps := p.taps[sub.tap0:][:sub.taps]
			at := g*p.groupWeights() + sub.weights
			for c0 := 0; c0 < p.c; c0 += p.depth {
				count := min(p.depth, p.c-c0)
				for m := 0; m < p.m; {
					rows := p.stripHeight(p.m - m)
					for c := range count {
						from := src[m*rowStep+(c0+c)*colStep:]
						for _, t := range taps {
							for r := range rows {
								dst[at+r] = from[r*rowStep+t.weight]
							}
							at += rows
						}
					}
					m += rows
				}
			}
		}
	}
}

// stripHeight returns the height of the next strip of the left rows.
func (p *convPlan) stripHeight(left int) int {
	for i := range p.ops.strips {
		if h := p.ops.strips[i].rows; h <= left {
			return h
		}
	}
	panic("kernel: Conv: no strip of one row")
}
