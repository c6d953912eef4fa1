// Package data turns files into batches. It has data sets, splits, transforms, and a loader
// that prepares batches in advance.
//
// A [Dataset] is a list of labelled samples of one shape, usually images [C, H, W] with
// values in [0,1]. [NewTensors] and [NewImages] make one from memory; [LoadIDX],
// [LoadMNIST], [LoadFashionMNIST], [LoadCIFAR10], [LoadCIFAR100], [OpenFolder] and
// [LoadCSV] make one from files; [Subset], [Split] and [SplitStratified] make one from
// another. A [Loader] cuts it into batches:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//		"path/filepath"
//
//		"github.com/mettleml/mettle/nn/data"
//	)
//
//	func main() {
//		train, test, err := data.LoadMNIST(filepath.Join(os.Getenv("METTLE_DATA"), "mnist"))
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(train.Len(), "images to learn from,", test.Len(), "to test")
//		loader, err := data.NewLoader(train, data.LoaderOptions{
//			BatchSize: 100,
//			Shuffle:   true,
//			Seed:      1,
//			Transform: data.RandomCrop{Padding: 2},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		for epoch := range 2 {
//			sum := 0.0
//			for batch, err := range loader.Batches(context.Background()) {
//				if err != nil {
//					log.Fatal(err)
//				}
//				sum += batch.X.Mean() // batch.X and batch.Y are valid in this body
//			}
//			fmt.Println("epoch", epoch, "mean", sum/float64(loader.Len()))
//		}
//	}
//
// # Classes go by their names
//
// A label is a number; [ClassNames] returns the names of the classes if the files have
// them. Match two data sets, or a data set and a network, by these names: open a test
// folder with the training folder's names ([FolderOptions]), and its labels stay right even
// if it lacks a class. [MatchClasses] does this for any data set. [Absent] lists the
// classes without samples. [LoadClassMap] reads the class of a directory such as n01440764
// from a file.
//
// # Pixels
//
// A JPEG decodes to the pixels of PIL, OpenCV and torchvision, to the bit. [OpenFolder]
// crops the largest part in the middle of an image. A network may have been trained with
// another crop: option Resize gives torchvision's Resize and CenterCrop.
//
// # Transforms
//
// A [Transform] makes one sample from another. Names and defaults are torchvision's. The
// random transforms are [RandomCrop], [RandomResizedCrop], [RandomHorizontalFlip],
// [RandomGrayscale], [RandomQuarterTurns], [RandAugment], [AutoAugment], [ColorJitter],
// [GaussianBlur] and [Cutout]. The deterministic ones are [HorizontalFlip], [Pad],
// [CenterCrop], [ResizedCrop], [Resize], [QuarterTurns], [Grayscale], Solarize,
// [Normalize], and [AdjustBrightness], AdjustContrast, AdjustSaturation and AdjustHue.
// [Compose] applies several in order; [RandomApply] applies one with a probability. Any
// type with the two methods of [Transform] is one. All take images [C, H, W] and clips [T,
// C, H, W], and treat all frames of a clip alike.
//
// [Mixup] and [CutMix] mix the samples of a whole batch, in the body of the loop, and
// return the mixed labels:
//
//	pairs := data.CutMix{}.Mix(batch.X, batch.Y, seed, tape.Step())
//	logits := model.Forward(tape.Input(batch.X))
//	loss := autograd.SoftCrossEntropy(logits, tape.Input(pairs.Targets(classes)), autograd.ReduceMean)
//
// # Reproducible order and draws
//
// All randomness follows from integers: the order of an epoch from the seed and the epoch;
// the draws of a [Transform] for a sample from the seed, the epoch and the sample's index.
// Samples therefore do not depend on the number of workers or on the batch size, and a
// loader continues from any position ([Loader.Seek]) as if it had never stopped.
//
// # Where data sets are kept
//
// The programs of this library look for data sets in the directory that the
// environment variable METTLE_DATA names. In it:
//
//	mnist/                  train-images-idx3-ubyte, train-labels-idx1-ubyte,
//	                        t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte,
//	                        each as it is or with .gz
//	fashion-mnist/          the same four names
//	cifar-10-batches-bin/   data_batch_1.bin ... data_batch_5.bin, test_batch.bin
//	cifar-100-binary/       train.bin, test.bin
//	NAME/train/CLASS/       PNG and JPEG files of other data sets,
//	NAME/test/CLASS/        one directory for each class
//
// # Files that cannot be trusted
//
// Every decoder allocates memory as data arrives, up to a stated limit. It reports invalid
// content as a [*tensor.FormatError] with file, place and reason. The error names a file of
// another kind, such as a Git LFS pointer or a web page. Labels are checked when a data set
// is made.
package data
