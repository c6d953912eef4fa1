package longtail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// ReadCui reads a CIFAR-LT in the form that Cui et al. published ("Class-balanced loss
// based on effective number of samples", 2019): train.tfrecords of one imbalance. Their
// program drew without a seed, so only this file has their images. The counts are those of
// [Exponential]. Each record is a tf.train.Example with the bytes of a sample of the given
// shape, such as [3, 32, 32], as "image" and one number as "label". [SubsetOf] with all
// indices gives the set a name and a digest.
//
// An invalid file or checksum is a [*tensor.FormatError]. It panics unless shape has three
// sizes, all positive.
func ReadCui(r io.Reader, shape []int, classes int) (*data.Images, error) {
	if len(shape) != 3 || slices.Min(shape) < 1 {
		tensor.Panic("longtail.ReadCui", "not [C, H, W]", shape)
	}
	size := shape[0] * shape[1] * shape[2]
	var pixels []byte
	var labels []int
	for k := 0; ; k++ {
		fail := func(reason string, err error) (*data.Images, error) {
			return nil, &tensor.FormatError{Format: "TFRecord", Place: fmt.Sprintf("record %d", k), Reason: reason, Err: err}
		}
		record, err := readRecord(r, size+1<<12)
		if err == io.EOF {
			if k == 0 {
				return fail("no records", nil)
			}
			break
		}
		if err != nil {
			return fail(err.Error(), err)
		}
		image, label, err := parseExample(record)
		switch {
		case err != nil:
			return fail(err.Error(), err)
		case len(image) != size:
			return fail(fmt.Sprintf("\"image\" has %d bytes, a sample of shape %v has %d", len(image), shape, size), nil)
		case label >= uint64(classes):
			return fail(fmt.Sprintf("the label %d is outside [0, %d)", int64(label), classes), nil)
		case len(pixels)+size > 1<<30:
			return fail("the images have more than 2^30 bytes", nil)
		}
		pixels = append(pixels, image...)
		labels = append(labels, int(label))
	}
	return data.NewImages(pixels, labels, shape, classes)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of a TFRecord.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

var errChecksum = errors.New("a checksum is wrong")

// readRecord returns the next record, io.EOF if there is none.
func readRecord(r io.Reader, limit int) ([]byte, error) {
	var head [12]byte
	switch _, err := io.ReadFull(r, head[:]); err {
	case nil:
	case io.EOF:
		return nil, err
	default:
		return nil, fmt.Errorf("the data ends: %w", err)
	}
	n := binary.LittleEndian.Uint64(head[:8])
	if masked(head[:8]) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, errChecksum
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("it has %d bytes, the limit is %d", n, limit)
	}
	b := make([]byte, n+4)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("the data ends: %w", io.ErrUnexpectedEOF)
	}
	if masked(b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, errChecksum
	}
	return b[:n], nil
}

var errExample = errors.New("not a tf.train.Example with \"image\" and \"label\"")

// parseExample returns the features "image" and "label": Example.features (1) is a
// Features, whose map feature (1) has entries of key (1) and value (2), a Feature with a
// bytes_list (1) or an int64_list (3), each of which has its values in field 1.
func parseExample(b []byte) (image []byte, label uint64, err error) {
	labels := 0
	err = fields(b, func(n int, features []byte, _ uint64) error {
		if n != 1 {
			return nil
		}
		return fields(features, func(_ int, entry []byte, _ uint64) error {
			var key string
			return fields(entry, func(n int, value []byte, _ uint64) error {
				if n == 1 {
					key = string(value)
					return nil
				}
				return fields(value, func(kind int, list []byte, _ uint64) error {
					return fields(list, func(_ int, b []byte, v uint64) error {
						switch {
						case key == "image" && kind == 1 && b != nil:
							image = b
						case key == "label" && kind == 3:
							if b != nil { // packed
								var used int
								if v, used = binary.Uvarint(b); used != len(b) || used == 0 {
									return errExample
								}
							}
							label = v
							labels++
						}
						return nil
					})
				})
			})
		})
	})
	if err == nil && (image == nil || labels != 1) {
		err = errExample
	}
	return image, label, err
}

// fields calls f for the fields of a protocol buffer: with the bytes of one that has a
// length, with the number of one that is a varint.
func fields(b []byte, f func(n int, bytes []byte, value uint64) error) error {
	for len(b) > 0 {
		tag, used := binary.Uvarint(b)
		if used <= 0 {
			return errExample
		}
		b = b[used:]
		v, used := binary.Uvarint(b)
		if used <= 0 {
			return errExample
		}
		b = b[used:]
		var content []byte
		switch tag & 7 {
		case 0:
		case 2:
			if v > uint64(len(b)) {
				return errExample
			}
			content, b = b[:v:v], b[v:]
		default:
			return errExample
		}
		if err := f(int(tag>>3), content, v); err != nil {
			return err
		}
	}
	return nil
}
