// Package motion finds out how the contents of a clip move.
package motion
