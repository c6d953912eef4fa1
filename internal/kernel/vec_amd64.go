//go:build !purego

package kernel

//go:generate go run -C _asm ./vec -part map -out ../vec_map_amd64.s -stubs ../vec_map_stubs_amd64.go -table ../vec_map_table_amd64.go -pkg kernel
//go:generate go run -C _asm ./vec -part reduce -out ../vec_reduce_amd64.s -stubs ../vec_reduce_stubs_amd64.go -table ../vec_reduce_table_amd64.go -pkg kernel
//go:generate go run -C _asm ./vec -part rest -out ../vec_rest_amd64.s -stubs ../vec_rest_stubs_amd64.go -pkg kernel

// vecAVX2 and vecAVX512 take from the generic set what has no assembly.
var (
	vecAVX2   = vecSetAVX2()
	vecAVX512 = vecSetAVX512()
)

func vecSetAVX2() vecOps {
	v := genericVec
	v.maps = vecMapsAVX2
	v.reduces = vecReducesAVX2
	v.find = func(n int, a *float32, x float32) int {
		if x != x {
			return vecFindNaNAVX2(n, a, x)
		}
		return vecFindEqualAVX2(n, a, x)
	}
	v.accumulate = vecAccumulateAVX2
	v.accumulateMul = vecAccumulateMulAVX2

	v.sgd = [numSGDKinds]updateLoop{
		sgdPlain:    func(n int, p, g, _ *float32, k *updateCoeffs) { vecSGDAVX2(n, p, g, &k.weightDecay) },
		sgdMomentum: func(n int, p, g, v *float32, k *updateCoeffs) { vecSGDMomentumAVX2(n, p, g, v, &k.weightDecay) },
		sgdNesterov: func(n int, p, g, v *float32, k *updateCoeffs) { vecSGDNesterovAVX2(n, p, g, v, &k.weightDecay) },
	}
	v.adam = func(n int, p, g, m, v *float32, k *updateCoeffs) { vecAdamAVX2(n, p, g, m, v, &k.weightDecay) }

	v.philox = vecPhiloxAVX2
	v.normals = vecNormalsAVX2
	return v
}

func vecSetAVX512() vecOps {
	v := genericVec
	v.maps = vecMapsAVX512
	v.reduces = vecReducesAVX512
	v.find = func(n int, a *float32, x float32) int {
		if x != x {
			return vecFindNaNAVX512(n, a, x)
		}
		return vecFindEqualAVX512(n, a, x)
	}
	v.accumulate = vecAccumulateAVX512
	v.accumulateMul = vecAccumulateMulAVX512

	v.sgd = [numSGDKinds]updateLoop{
		sgdPlain:    func(n int, p, g, _ *float32, k *updateCoeffs) { vecSGDAVX512(n, p, g, &k.weightDecay) },
		sgdMomentum: func(n int, p, g, v *float32, k *updateCoeffs) { vecSGDMomentumAVX512(n, p, g, v, &k.weightDecay) },
		sgdNesterov: func(n int, p, g, v *float32, k *updateCoeffs) { vecSGDNesterovAVX512(n, p, g, v, &k.weightDecay) },
	}
	v.adam = func(n int, p, g, m, v *float32, k *updateCoeffs) { vecAdamAVX512(n, p, g, m, v, &k.weightDecay) }

	v.toFloat16 = blocks(vecToFloat16AVX512, genericToFloat16)
	v.fromFloat16 = blocks(vecFromFloat16AVX512, genericFromFloat16)

	v.philox = vecPhiloxAVX512
	v.normals = vecNormalsAVX512
	return v
}

// blocks makes a conversion of one that takes whole blocks of 16 and one that
// takes any number; both give the same bits.
func blocks[D, S any](whole, rest func(n int, dst *D, a *S)) func(n int, dst *D, a *S) {
	return func(n int, dst *D, a *S) {
		m := n &^ 15
		if m > 0 {
			whole(m, dst, a)
		}
		if m < n {
			rest(n-m, elem(dst, m), elem(a, m))
		}
	}
}
