package longtail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// field writes a field of a protocol buffer that has a length.
func field(n byte, content []byte) []byte {
	return append(binary.AppendUvarint([]byte{n<<3 | 2}, uint64(len(content))), content...)
}

// example writes a record as TensorFlow does.
func example(image []byte, label uint64, packed bool) []byte {
	number := append([]byte{1 << 3}, binary.AppendUvarint(nil, label)...)
	if packed {
		number = field(1, binary.AppendUvarint(nil, label))
	}
	feature := func(name string, kind byte, list []byte) []byte {
		return field(1, append(field(1, []byte(name)), field(2, field(kind, list))...))
	}
	return record(field(1, slices.Concat(feature("height", 3, []byte{1 << 3, 32}), feature("image", 1, field(1, image)), feature("label", 3, number))))
}

func record(b []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(b)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	return binary.LittleEndian.AppendUint32(append(out, b...), masked(b))
}

func TestReadCui(t *testing.T) {
	// The checksum of a length of 0, as every empty record of a TFRecord begins.
	if got := record(nil); !bytes.Equal(got, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0x29, 0x03, 0x98, 0x07, 0xd8, 0xea, 0x82, 0xa2}) {
		t.Errorf("empty record % x", got)
	}
	shape := []int{3, 1, 2}
	file := slices.Concat(example([]byte{0, 51, 102, 153, 204, 255}, 1, true), example([]byte{1, 2, 3, 4, 5, 6}, 0, false))
	d, err := ReadCui(bytes.NewReader(file), shape, 2)
	if err != nil || d.Len() != 2 || d.Label(0) != 1 || d.Label(1) != 0 {
		t.Fatalf("%v, %v", d, err)
	}
	x := tensor.New(shape...)
	if err := d.Read(0, x); err != nil || x.At(1, 0, 1) != 0.6 {
		t.Errorf("%v, %v", x.Data(), err)
	}
	one := example(make([]byte, 6), 1, true)
	one = one[12 : len(one)-4]
	for want, b := range map[string][]byte{
		"no records":           nil,
		"record 1: the data e": file[:len(file)-3],
		"record 0: a checksum": slices.Concat([]byte{9}, file[1:]),
		"record 1: a checksum": slices.Concat(file[:len(file)-9], []byte{1}, file[len(file)-8:]),
		"has 5 bytes":          example(make([]byte, 5), 0, true),
		"outside [0, 2)":       example(make([]byte, 6), 2, true),
		"the label -1":         example(make([]byte, 6), 1<<64-1, true),
		"not a tf.train":       record([]byte{1, 2, 3}),
		"with \"image\" and":   record(slices.Concat(one, one)),
		"the limit is":         example(make([]byte, 5000), 0, true),
	} {
		var fe *tensor.FormatError
		if _, err := ReadCui(bytes.NewReader(b), shape, 2); !errors.As(err, &fe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	panics(t, "[C, H, W]", func() { ReadCui(nil, []int{3, 32}, 2) })
}

func FuzzReadCui(f *testing.F) {
	f.Add(example([]byte{1, 2, 3}, 1, true)[12:])
	f.Add(example([]byte{1, 2, 3}, 0, false)[12:])
	f.Fuzz(func(t *testing.T, b []byte) {
		// Checksums are made right, so that the content is reached.
		d, err := ReadCui(bytes.NewReader(record(b)), []int{3, 1, 1}, 2)
		var fe *tensor.FormatError
		if err != nil && !errors.As(err, &fe) {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil && (d.Len() != 1 || len(d.Pixels) != 3 || d.Label(0) > 1) {
			t.Fatalf("%+v", d)
		}
		if _, err := ReadCui(bytes.NewReader(b), []int{3, 1, 1}, 2); err != nil && !errors.As(err, &fe) {
			t.Fatalf("%T: %v", err, err)
		}
	})
}
