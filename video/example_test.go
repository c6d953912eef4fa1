package video_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
)

// drawn is a directory with a clip of 30 frames in which one pixel moves.
func drawn() (dir, path string) {
	dir, err := os.MkdirTemp("", "clips")
	if err != nil {
		log.Fatal(err)
	}
	x := tensor.New(30, 1, 8, 30)
	for k := range 30 {
		x.Set(1, k, 0, 4, k)
	}
	path = filepath.Join(dir, "dot.y4m")
	if err := video.Save(path, &video.Clip{X: x, FPS: 15}); err != nil {
		log.Fatal(err)
	}
	return dir, path
}

func ExampleSample() {
	dir, path := drawn()
	defer os.RemoveAll(dir)
	// Two segments of four frames, every third frame, as a network of 8 frames may
	// take them.
	w := video.Window{Segments: 2, Frames: 4, Stride: 3}
	clip, err := video.Sample(context.Background(), path, w, nil, video.Options{Channels: 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(clip.X.Shape(), "frames", clip.Index, "at", clip.FPS, "per second")
	// Output: [8 3 8 30] frames [5 8 11 14 15 18 21 24] at 15 per second
}

func ExampleOpen() {
	dir, path := drawn()
	defer os.RemoveAll(dir)
	s, err := video.Open(context.Background(), path, video.Options{Start: 10, Stop: 20, Stride: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for frame, err := range video.All(s) {
		if err != nil {
			log.Fatal(err)
		}
		for x := range frame.Dim(2) {
			if frame.At(0, 4, x) == 1 {
				fmt.Println("the dot is at", x)
			}
		}
	}
	// Output:
	// the dot is at 10
	// the dot is at 14
	// the dot is at 18
}

func ExampleWindows() {
	dir, path := drawn()
	defer os.RemoveAll(dir)
	s, err := video.Open(context.Background(), path, video.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for clip, err := range video.Windows(s, 16, 7) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("frames", clip.Index[0], "to", clip.Index[15])
	}
	// Output:
	// frames 0 to 15
	// frames 7 to 22
	// frames 14 to 29
}
