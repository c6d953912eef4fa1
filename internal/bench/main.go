// Command bench times the library case by case.
package main

import "fmt"

func main() {
	fmt.Printf("# FMA peak of one core: %.1f GFLOP/s\n", measurePeak())
}
