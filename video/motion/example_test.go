package motion_test

import (
	"fmt"
	"log"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video/motion"
)

// A bright square moves two pixels to the right and one up with every frame.
func Example() {
	const frames, size = 13, 64
	clip := tensor.New(frames, 1, size, size)
	for t := range frames {
		for y := range 16 {
			for x := range 16 {
				// A pattern, as a plain square looks the same along its edges.
				clip.Set(0.5+float32((3*x*x+5*x*y+7*y)%16)/32, t, 0, 40-t+y, 8+2*t+x)
			}
		}
	}
	f, err := motion.NewFrames(clip)
	if err != nil {
		log.Fatal(err)
	}
	s := motion.NewSequence(f, motion.BlockMatch{Block: 8, Range: 7})

	one := s.Field(1)
	fmt.Println("in one frame:", one.DX[44*size+18], one.DY[44*size+18])

	for _, m := range s.Maps(motion.Fixed{}) {
		last := m.Start + m.Len - 1
		x, y := 8+2*last+8, 40-last+8 // the middle of the square
		fmt.Printf("frames %d to %d: %v %v\n", m.Start, last, m.DX[y*size+x], m.DY[y*size+x])
		predicted := motion.Compensate(clip.Index(m.Start), m.Field)
		fmt.Println("explains the last frame better than no motion:",
			motion.PSNR(predicted, clip.Index(last)) > motion.PSNR(clip.Index(m.Start), clip.Index(last)))
	}
	// Output:
	// in one frame: 2 -1
	// frames 0 to 11: 22 -11
	// explains the last frame better than no motion: true
}

// Dense flow, and a picture of it.
func ExampleFarneback() {
	clip := tensor.New(2, 3, 48, 64) // two frames in colour
	f, err := motion.NewFrames(clip)
	if err != nil {
		log.Fatal(err)
	}
	field := motion.Farneback{}.Estimate(f, 0, 1)
	fmt.Println(field.Zero(), field.Color(0).Bounds())
	// Output: true (0,0)-(64,48)
}
