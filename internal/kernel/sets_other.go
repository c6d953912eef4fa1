//go:build purego || !(amd64 || arm64)

package kernel

var archSets []*Set
