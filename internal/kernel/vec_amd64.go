//go:build !purego

package kernel

//go:generate go run -C _asm ./vec -part map -out ../vec_map_amd64.s -stubs ../vec_map_stubs_amd64.go -table ../vec_map_table_amd64.go -pkg kernel
//go:generate go run -C _asm ./vec -part reduce -out ../vec_reduce_amd64.s -stubs ../vec_reduce_stubs_amd64.go -table ../vec_reduce_table_amd64.go -pkg kernel

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
	v.expSum = vecExpSumAVX2
	v.accumulate = vecAccumulateAVX2
	v.accumulateMul = vecAccumulateMulAVX2
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
	v.expSum = vecExpSumAVX512
	v.accumulate = vecAccumulateAVX512
	v.accumulateMul = vecAccumulateMulAVX512
	return v
}
