// Package data turns files into batches: data sets, splits, transforms, and a
// loader that prepares batches ahead of their use.
//
// A [Dataset] is a list of labelled samples of one shape, usually images,
// [C, H, W] with values in [0,1]. [NewTensors] and [NewImages] make one from
// memory; [LoadIDX], [LoadMNIST], [LoadFashionMNIST], [LoadCIFAR10], [LoadCIFAR100],
// [OpenFolder] and [LoadCSV] from files. [Subset], [Split] and [SplitStratified] make one from
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
// A label is a number, and what it stands for is a name: [ClassNames] tells the names
// where the files do. Two data sets, or a data set and a network, agree by names. So a
// test folder that lacks a class keeps the labels of the others, if it is opened with the
// training folder's names ([FolderOptions]); [MatchClasses] does the same for any data
// set, [Absent] lists the classes that have no samples, and [LoadClassMap] reads which
// class a directory such as n01440764 holds.
//
// # Pixels
//
// A JPEG has the pixels that PIL, OpenCV and torchvision decode, but for the rounding of
// the cosine transform ([tensor.FromImage]). [OpenFolder] cuts the largest part in the
// middle out of an image. What a network was trained with may be another cut: option
// Resize is torchvision's Resize and CenterCrop.
//
// # Transforms
//
// A [Transform] makes one sample from another. Names and defaults are torchvision's.
// What begins with Random draws for every sample: [RandomCrop] with padding,
// [RandomResizedCrop], [RandomHorizontalFlip], [RandomGrayscale],
// [RandomQuarterTurns], [RandAugment] and, without the word, [ColorJitter],
// [GaussianBlur], [AutoAugment] and [Cutout].
// [HorizontalFlip], [Pad], [CenterCrop], [ResizedCrop], [Resize], [QuarterTurns],
// [Grayscale], [AdjustBrightness] and its kin, and [Normalize] always do the same.
// [Compose] applies several in order, and [RandomApply] one of them sometimes. A type
// with two methods adds another. All take images [C, H, W] and clips [T, C, H, W], and
// treat the frames of a clip alike.
//
// [Mixup] and [CutMix] mix the samples of a whole batch, in the body of the loop, and
// say by which labels:
//
//	pairs := data.CutMix{}.Mix(batch.X, batch.Y, seed, tape.Step())
//	logits := model.Forward(tape.Input(batch.X))
//	loss := autograd.SoftCrossEntropy(logits, tape.Input(pairs.Targets(classes)), autograd.ReduceMean)
//
// # Reproducible order and draws
//
// Everything random follows from integers: the order of an epoch from the seed
// and the epoch, what a [Transform] draws for a sample from the seed, the epoch
// and the sample's index. So a batch has the same bytes whatever the number of
// workers and the size of the other batches, and a loader that is put back to an
// epoch and a batch by [Loader.Seek] goes on as if it had never stopped.
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
// Every decoder takes memory as data arrives, up to a stated limit, and reports
// what is wrong with the content as a [*tensor.FormatError] with file, place and
// reason. A file of another kind, such as a Git LFS pointer or a web page, is named for
// what it is. Labels are checked when a data set is made.
package data
