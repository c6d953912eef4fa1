// Package video reads and writes clips of video, makes data sets of them, and attacks
// classifiers of clips.
//
// A [Clip] is a tensor [T, C, H, W] with values in [0,1]: T frames with three channels,
// red, green and blue, or one, gray. [Read] makes one of a file:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//
//		"github.com/mettleml/mettle/video"
//	)
//
//	func main() {
//		ctx := context.Background()
//		// 16 frames from the middle of a video, 112 by 112 pixels.
//		clip, err := video.Sample(ctx, "jump.mp4", video.Window{Frames: 16}, nil, video.Options{Size: [2]int{112, 112}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(clip.X.Shape(), clip.Index)
//		if err := video.Save("jump.gif", clip); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// # Files
//
// [Open] looks at the content of a file, not at its name. It reads Y4M ([NewY4M]),
// Motion JPEG and uncompressed pixels in AVI ([NewAVI]), animated GIF ([NewGIF]), numpy
// arrays ([NewNPY]), and numbered PNG, JPEG, PPM and PGM pictures in a directory
// ([OpenFrames]). Video without a header is read by [NewRaw]. For everything else, such
// as H.264 in MP4, it starts the program ffmpeg, if that is installed, and reads pixels
// from a pipe ([FFmpeg]). A decoder in Go is added by a [Format].
//
// A [Source] delivers one frame after another, so that a long video does not have to
// fit in memory: loop over [All], or over [Windows] for one clip after another.
// [Options] choose part of a video, every second frame for example, and change the size
// and the channels of frames on the way. [Sample] and a [Window] choose the frames of a
// clip: consecutive ones, with a stride, or segments.
//
// [Save] writes PNG files, numpy arrays, Y4M and GIF. Nothing here writes a lossy
// format, because that would destroy an adversarial clip; GIF, which has 256 colours,
// is to look at. What the writers of 8-bit formats round is [tensor.Tensor.Round8] of
// the clip.
//
// # Data sets
//
// [OpenFolder] makes a data set of a directory with one directory of videos for each
// class. Where the names of files tell groups of videos that show the same scene, as in
// UCF101, [Folder.Split] divides by group. [Folder.Pack] makes a copy that is read many
// times faster, for training. [Folder.List], [WriteList], [ReadList] and [Folder.Find]
// make a list of the clips that an experiment attacks, keep it in a file, and check it
// before it is used.
//
// # Attacks
//
// [MotionExcited] is the Motion-Excited Sampler of chapter 3 of the thesis: the loop of
// attack.Bandits with a [Noise] that is sparked by the clip's motion ([Sparked]). With
// another noise it is what the sampler is compared with: [OneNoise], [MultiNoise],
// handcrafted maps ([UniformMap], [SequenceMap]), GEO-TRAP ([GeoNoise]), or a [Mixture].
// [VBAD] brings a network for images, [Flickering] is a white box. They are attacks of
// package attack: its campaigns, ledger, journals and tables serve them, and the registry
// has them under their names. NES, Bandits, Square, SimBA and PGD take clips as they are;
// the first three and the last are registered again (e-nes, e-bandits, e-square, e-pgd)
// with the thesis's radius of 0.03.
//
//	v, err := zoo.NewModel(net, zoo.Info{Name: "c3d", Shape: []int{16, 3, 112, 112}, Classes: 101}, data.Preprocess{CTHW: true})
//	...
//	c := attack.Campaign{Job: attack.WithScores(video.MotionExcited{}, v), Budget: 60000}
//	result, err := c.Run(ctx, samples)
//
// The released code's noise is the same in all frames, and so is what it adds to them. A
// victim that looks at appearance is sensitive to that. One that looks at motion alone may
// not even see it: there the preset per-frame, GEO-TRAP or Square are the ones to take.
// Sparked noise finds nothing where sensitivity does not follow motion; add one-noise by
// Sparked.Mix. Distances and radii are of one clip, over all its frames.
//
// # Files that cannot be trusted
//
// Every decoder takes memory as data arrives, up to a stated limit, and reports what is
// wrong as a [*tensor.FormatError] with the file, the place and the reason. A frame has
// 2^26 pixels at most. A file that ends too early is an error wherever its format lets
// one see it: Y4M and raw files do not tell their length, so that one cut between two
// frames is a shorter video. Frames whose size changes, and interlaced frames where a
// file says that they are, are errors too.
package video
