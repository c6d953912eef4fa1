//go:build !race

package longtail

const raceEnabled = false
