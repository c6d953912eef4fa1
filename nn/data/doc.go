// Package data turns files into batches: data sets, splits, transforms, and a
// loader that prepares batches ahead of their use.
//
// A [Dataset] is a list of labelled samples of one shape, usually images,
// [C, H, W] with values in [0,1]. [NewTensors] and [NewImages] make one from
// memory; [LoadIDX], [LoadMNIST], [LoadCIFAR10], [LoadCIFAR100], [OpenFolder] and
// [LoadCSV] from files. [Subset], [Split] and [SplitStratified] make one from
// another. A [Loader] cuts it into batches:
//
//	train, test, err := data.LoadMNIST(dir)
//	// ...
//	loader, err := data.NewLoader(train, data.LoaderOptions{
//		BatchSize: 100,
//		Shuffle:   true,
//		Seed:      1,
//		Transform: data.Compose(data.PadCrop{Pad: 4}, data.Randomly{P: 0.5, Transform: data.Flip{}}),
//	})
//	// ...
//	for epoch := range 10 {
//		for batch, err := range loader.Batches(ctx) {
//			// use batch.X and batch.Y; they are valid until the body ends
//		}
//	}
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
// reason. Labels are checked when a data set is made.
package data
