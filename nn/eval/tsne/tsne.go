// Package tsne embeds features in the plane so that neighbours stay neighbours, by
// t-distributed stochastic neighbour embedding (van der Maaten and Hinton, "Visualizing
// data using t-SNE", 2008). It serves for pictures of what a network has learned.
//
//	out, err := eval.Collect(ctx, net.Backbone, test, eval.Options{})
//	picture, err := tsne.Embed(ctx, out.Y, tsne.Options{})
//
// Such a picture shows which clusters there are. The sizes of the clusters and the
// distances between them mean nothing.
package tsne

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// Options are the settings of Embed. The defaults are scikit-learn's, except the limit for
// exact sums.
type Options struct {
	Perplexity float64 `json:"perplexity,omitempty"` // the effective number of neighbours; 0 means 30
	Iterations int     `json:"iterations,omitempty"` // 0 means 1000
	LR         float64 `json:"lr,omitempty"`         // 0 means max(N/12, 200), for a gradient without its factor of 4
	Early      int     `json:"early,omitempty"`      // first iterations, with exaggeration and momentum 0.5; 0 means 250
	Exaggerate float64 `json:"exaggerate,omitempty"` // factor on attractions in the first iterations; 0 means 12

	// Theta trades accuracy for speed in the repulsive forces: a cell of points acts as one
	// point if its side is below Theta times its distance. 0 means exact sums for up to
	// 2,000 points and 0.5 for more; a negative number means exact sums for any number.
	Theta float64 `json:"theta,omitempty"`

	// Random begins with points drawn from the seed. By default the embedding begins with
	// the first two principal components, which keep the large structure.
	Random bool   `json:"random,omitempty"`
	Seed   uint64 `json:"seed"`
}

func (o Options) withDefaults(n int) Options {
	o.Perplexity = cmp.Or(o.Perplexity, 30)
	o.Iterations, o.Early = cmp.Or(o.Iterations, 1000), cmp.Or(o.Early, 250)
	o.LR, o.Exaggerate = cmp.Or(o.LR, max(float64(n)/12, 200)), cmp.Or(o.Exaggerate, 12)
	if o.Theta == 0 && n > 2000 {
		o.Theta = 0.5
	}
	o.Theta = max(o.Theta, 0)
	return o
}

// A Result is an embedding.
type Result struct {
	Y *tensor.Tensor // [N, 2]

	// KL is the minimised Kullback-Leibler divergence of the affinities in the plane from
	// those of the features, in nats.
	KL float64
}

// Embed embeds the rows of x [N, d] in the plane. Affinities are those of the nearest
// 3·Perplexity neighbours (van der Maaten, "Accelerating t-SNE using tree-based
// algorithms", 2014). The result has the same bits on any number of workers. It is an error
// if a feature is not finite, there are too few points for the perplexity, or the context
// ends. It panics if x has another rank or an option is out of range.
func Embed(ctx context.Context, x *tensor.Tensor, o Options) (*Result, error) {
	const op = "tsne.Embed"
	if x.Rank() != 2 || x.Dim(1) == 0 {
		tensor.Panic(op, "want [N, d]", x.Shape())
	}
	n := x.Dim(0)
	o = o.withDefaults(n)
	if !(o.Perplexity >= 1) || o.Iterations < 0 || o.Early < 0 || !(o.LR > 0) || !(o.Exaggerate > 0) || math.IsNaN(o.Theta) {
		tensor.Panic(op, fmt.Sprintf("impossible options %+v", o))
	}
	if float64(n-1) < 3*o.Perplexity {
		return nil, fmt.Errorf("tsne: %d points are too few for a perplexity of %g, which wants more than %g: lower the perplexity", n, o.Perplexity, 3*o.Perplexity)
	}
	for i, v := range x.Data() {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("tsne: feature %d of point %d is %v", i%x.Dim(1), i/x.Dim(1), v)
		}
	}
	p := affinities(x, o.Perplexity)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := newLayout(n, o.Theta, p)
	if o.Random {
		random(l.y, o.Seed)
	} else {
		principal(l.y, x, o.Seed)
	}
	for i := range o.Iterations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i < o.Early {
			l.step(o.LR, 0.5, o.Exaggerate)
		} else {
			l.step(o.LR, 0.8, 1)
		}
	}
	r := &Result{Y: tensor.New(n, 2), KL: l.divergence()}
	for i := range n {
		r.Y.Data()[2*i], r.Y.Data()[2*i+1] = l.y[0][i], l.y[1][i]
	}
	return r, nil
}

// A layout is points in the plane that move.
type layout struct {
	n     int
	theta float64
	p     *graph
	y     [2][]float32 // coordinates
	speed [2][]float32
	gain  [2][]float32

	attract [2][]float32
	repel   [2][]float32 // before division by z
	z       float64      // Σ over pairs i≠j of 1/(1+|y_i-y_j|²)

	tree  tree
	exact exact
}

func newLayout(n int, theta float64, p *graph) *layout {
	l := &layout{n: n, theta: theta, p: p}
	for _, v := range []*[2][]float32{&l.y, &l.speed, &l.gain, &l.attract, &l.repel} {
		v[0], v[1] = make([]float32, n), make([]float32, n)
	}
	for k := range l.gain {
		for i := range l.gain[k] {
			l.gain[k][i] = 1
		}
	}
	return l
}

// forces computes attract, repel and z.
func (l *layout) forces() {
	l.p.attract(l.attract, l.y)
	if l.theta > 0 {
		l.z = l.tree.repel(l.repel, l.y, l.theta)
	} else {
		l.z = l.exact.repel(l.repel, l.y)
	}
}

// step moves the points by a step of gradient descent with momentum and a gain for each
// coordinate, which grows while the gradient goes on in one direction (Jacobs, 1988).
func (l *layout) step(lr, momentum, exaggerate float64) {
	l.forces()
	for k := range l.y {
		y, speed, gain := l.y[k], l.speed[k], l.gain[k]
		attract, repel := l.attract[k], l.repel[k]
		inverse := 1 / l.z
		for i := range y {
			g := exaggerate*float64(attract[i]) - float64(repel[i])*inverse
			if g*float64(speed[i]) < 0 {
				gain[i] += 0.2
			} else {
				gain[i] = max(0.8*gain[i], 0.01)
			}
			v := momentum*float64(speed[i]) - float64(lr*float64(gain[i])*g)
			speed[i] = float32(v)
			y[i] += float32(v)
		}
	}
}

// divergence returns Σ p_ij log(p_ij/q_ij).
func (l *layout) divergence() float64 {
	l.forces()
	sum := 0.0
	for i := range l.n {
		for k := l.p.from[i]; k < l.p.from[i+1]; k++ {
			j := l.p.to[k]
			dx, dy := float64(l.y[0][i])-float64(l.y[0][j]), float64(l.y[1][i])-float64(l.y[1][j])
			p := float64(l.p.weight[k])
			if p > 0 {
				sum += p * math.Log(p*l.z*(1+float64(dx*dx)+float64(dy*dy)))
			}
		}
	}
	return sum
}
