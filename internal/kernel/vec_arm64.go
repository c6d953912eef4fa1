//go:build !purego

package kernel

//go:generate sh -c "go run -C _asm ./vecneon > vec_arm64.s"
//go:generate sh -c "go run -C _asm ./vecneon go > vec_table_arm64.go"
