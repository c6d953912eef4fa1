//go:build !purego

package kernel
