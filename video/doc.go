// Package video reads and writes clips of video, makes data sets of them, and attacks
// classifiers of clips.
//
// A [Clip] is a tensor [T, C, H, W] with values in [0,1]: T frames with three channels
// (red, green, blue) or one (gray). [Read] reads one from a file:
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
// [Open] recognises a file by its content, not by its name. It reads Y4M ([NewY4M]), Motion
// JPEG and uncompressed pixels in AVI ([NewAVI]), animated GIF ([NewGIF]), numpy arrays
// ([NewNPY]), and numbered PNG, JPEG, PPM and PGM pictures in a directory ([OpenFrames]).
// [NewRaw] reads video without a header. For all other files, such as H.264 in MP4, Open
// starts the program ffmpeg, if it is installed, and reads pixels from a pipe ([FFmpeg]). A
// [Format] adds a decoder in Go.
//
// A [Source] delivers one frame after another, so a long video need not fit in memory: loop
// over [All] for frames, or over [Windows] for clips. [Options] select a part of a video,
// such as every second frame, and change the size and the channels of frames. [Sample] and
// a [Window] choose the frames of a clip: consecutive ones, with a stride, or segments.
//
// [Save] writes PNG files, numpy arrays, Y4M and GIF. There is no lossy format, because it
// would destroy an adversarial clip; GIF, with 256 colours, is for viewing. Writers of
// 8-bit formats round as [tensor.Tensor.Round8] does.
//
// # Data sets
//
// [OpenFolder] makes a data set from a directory with one directory of videos per class. If
// file names tell which videos show the same scene, as in UCF101, [Folder.Split] divides by
// these groups. [Folder.Pack] makes a copy that is much faster to read, for training.
// [Folder.List], [WriteList], [ReadList] and [Folder.Find] make the list of the clips that
// an experiment attacks, keep it in a file, and check it before use.
//
// # Attacks
//
// [MotionExcited] is the Motion-Excited Sampler of chapter 3 of the thesis: the loop of
// attack.Bandits with noise that follows the clip's motion ([Sparked]). With another
// [Noise] it is one of the sampler's rivals: [OneNoise], [MultiNoise], handcrafted maps
// ([UniformMap], [SequenceMap]), GEO-TRAP ([GeoNoise]), or a [Mixture]. [VBAD] uses a
// network for images; [Flickering] attacks white boxes. All are attacks for package attack,
// with its campaigns, ledger, journals and registry. NES, Bandits, Square, SimBA and PGD
// also take clips; e-nes, e-bandits, e-square and e-pgd are registered with the thesis's
// radius of 0.03.
//
//	v, err := zoo.NewModel(net, zoo.Info{Name: "c3d", Shape: []int{16, 3, 112, 112}, Classes: 101}, data.Preprocess{CTHW: true})
//	...
//	c := attack.Campaign{Job: attack.WithScores(video.MotionExcited{}, v), Budget: 60000}
//	result, err := c.Run(ctx, samples)
//
// The released code has the same noise, and so the same perturbation, in all frames. A
// victim that relies on appearance is sensitive to it, but one that relies on motion may
// not be: for the latter take the preset per-frame, GEO-TRAP or Square. Sparked noise fails
// if the victim's sensitivity does not follow motion; then add one-noise by Sparked.Mix.
// Distances and radii are over all frames of a clip.
//
// # Files that cannot be trusted
//
// Every decoder allocates memory as data arrives, up to a stated limit, and reports errors
// as a [*tensor.FormatError] with the file, the place and the reason. A frame has at most
// 2^26 pixels. A truncated file is an error if the format shows it; Y4M and raw files have
// no length, so a file cut between two frames is a shorter video. A change of the frame
// size and a frame marked as interlaced are errors too.
package video
