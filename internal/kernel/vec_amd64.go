//go:build !purego

package kernel

//go:generate go run -C _asm ./vec -part map -out ../vec_map_amd64.s -stubs ../vec_map_stubs_amd64.go -table ../vec_map_table_amd64.go -pkg kernel

// vecAVX2 and vecAVX512 take from the generic set what has no assembly.
var (
	vecAVX2   = vecSet(&vecMapsAVX2)
	vecAVX512 = vecSet(&vecMapsAVX512)
)

func vecSet(maps *[numMapOps]mapLoop) vecOps {
	v := genericVec
	v.maps = *maps
	return v
}
