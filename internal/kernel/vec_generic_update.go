package kernel

import (
	"math"
	"unsafe"
)

func genericSGD(n int, p, g, _ *float32, k *updateCoeffs) {
	w, d := unsafe.Slice(p, n), unsafe.Slice(g, n)
	for i := range w {
		step := d[i] + float32(k.weightDecay*w[i])
		w[i] -= float32(k.rate * step)
	}
}

func genericSGDMomentum(n int, p, g, v *float32, k *updateCoeffs) {
	w, d, vel := unsafe.Slice(p, n), unsafe.Slice(g, n), unsafe.Slice(v, n)
	for i := range w {
		step := d[i] + float32(k.weightDecay*w[i])
		vel[i] = float32(k.momentum*vel[i]) + float32(k.dampened*step)
		w[i] -= float32(k.rate * vel[i])
	}
}

func genericSGDNesterov(n int, p, g, v *float32, k *updateCoeffs) {
	w, d, vel := unsafe.Slice(p, n), unsafe.Slice(g, n), unsafe.Slice(v, n)
	for i := range w {
		step := d[i] + float32(k.weightDecay*w[i])
		vel[i] = float32(k.momentum*vel[i]) + float32(k.dampened*step)
		step += float32(k.momentum * vel[i])
		w[i] -= float32(k.rate * step)
	}
}

func genericAdam(n int, p, g, m, v *float32, k *updateCoeffs) {
	w, d := unsafe.Slice(p, n), unsafe.Slice(g, n)
	mean, square := unsafe.Slice(m, n), unsafe.Slice(v, n)
	for i := range w {
		step := d[i] + float32(k.weightDecay*w[i])
		mean[i] = float32(k.beta1*mean[i]) + float32(k.oneMinusBeta1*step)
		square[i] = float32(k.beta2*square[i]) + float32(float32(k.oneMinusBeta2*step)*step)
		root := float32(math.Sqrt(float64(square[i])))
		denom := float32(root*k.rootBias2) + k.eps
		w[i] = float32(k.decay*w[i]) - float32(k.rate*mean[i])/denom
	}
}
