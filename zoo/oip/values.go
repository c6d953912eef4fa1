package oip

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/x448/float16"
)

// maxRank bounds the dimensions that a tensor on the wire may have.
const maxRank = 16

// elements is the number of values of a shape, refused when negative or beyond
// limit.
func elements(shape []int64, limit int64) (int, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("shape of %d dimensions", len(shape))
	}
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d > 0 && n > limit/d {
			return 0, fmt.Errorf("shape %v holds more than %d values", shape, limit)
		}
		n *= d
	}
	return int(n), nil
}

// writers are the datatypes that newTensor writes: how a value is appended as raw
// bytes, and the number and its precision in JSON.
var writers = map[string]struct {
	raw    func(b []byte, v float32) []byte
	number func(v float32) (f float64, bits int)
}{
	"FP64": {
		func(b []byte, v float32) []byte {
			return binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(v)))
		},
		func(v float32) (float64, int) { return float64(v), 64 },
	},
	"FP32": {
		func(b []byte, v float32) []byte { return binary.LittleEndian.AppendUint32(b, math.Float32bits(v)) },
		func(v float32) (float64, int) { return float64(v), 32 },
	},
	"FP16": {
		func(b []byte, v float32) []byte {
			return binary.LittleEndian.AppendUint16(b, float16.Fromfloat32(v).Bits())
		},
		func(v float32) (float64, int) { return float64(float16.Fromfloat32(v).Float32()), 32 },
	},
	"UINT8": {
		func(b []byte, v float32) []byte { return append(b, byte(v)) },
		func(v float32) (float64, int) { return float64(byte(v)), 32 },
	},
}

// newTensor makes a tensor of dense values, rounded to a datatype of writers, as JSON
// or as raw bytes.
func newTensor(name, datatype string, shape []int64, values []float32, binaryData bool) Tensor {
	t := Tensor{Name: name, Shape: shape, Datatype: datatype}
	write := writers[datatype]
	if binaryData {
		t.raw = make([]byte, 0, 4*len(values))
		for _, v := range values {
			t.raw = write.raw(t.raw, v)
		}
		size := int64(len(t.raw))
		t.Parameters = &TensorParams{BinarySize: &size}
		return t
	}
	b := append(make([]byte, 0, 10*len(values)+2), '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		if f, bits := write.number(v); math.IsNaN(f) || math.IsInf(f, 0) {
			b = append(b, "null"...) // JSON has no such number; the reader will refuse it
		} else {
			b = strconv.AppendFloat(b, f, 'g', -1, bits)
		}
	}
	t.Data = append(b, ']')
	return t
}

// Values decodes the tensor's content in row-major order, rounded to its datatype, so that
// raw bytes and JSON give the same float64. Nested arrays need only have the shape's number
// of values. A null, a string, a wrong number of values, more than limit values or a
// datatype that is not numeric is an error.
func (t *Tensor) Values(limit int64) ([]float64, error) {
	n, err := elements(t.Shape, limit)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	var out []float64
	if t.raw != nil {
		out, err = rawValues(t.Datatype, t.raw, n)
	} else {
		out, err = jsonValues(t.Datatype, t.Data, n)
	}
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if len(out) != n {
		return nil, fmt.Errorf("tensor %q: %d values for shape %v", t.Name, len(out), t.Shape)
	}
	return out, nil
}

// readers are the datatypes that Values reads from raw bytes: the size of a value in
// bytes, and its number.
var readers = map[string]struct {
	size int
	get  func([]byte) float64
}{
	"FP64":   {8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }},
	"FP32":   {4, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }},
	"FP16":   {2, func(b []byte) float64 { return float64(float16.Frombits(binary.LittleEndian.Uint16(b)).Float32()) }},
	"BF16":   {2, func(b []byte) float64 { return bfloat(binary.LittleEndian.Uint16(b)) }},
	"INT64":  {8, func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) }},
	"INT32":  {4, func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) }},
	"INT16":  {2, func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) }},
	"INT8":   {1, func(b []byte) float64 { return float64(int8(b[0])) }},
	"UINT64": {8, func(b []byte) float64 { return float64(binary.LittleEndian.Uint64(b)) }},
	"UINT32": {4, func(b []byte) float64 { return float64(binary.LittleEndian.Uint32(b)) }},
	"UINT16": {2, func(b []byte) float64 { return float64(binary.LittleEndian.Uint16(b)) }},
	"UINT8":  {1, func(b []byte) float64 { return float64(b[0]) }},
	"BOOL":   {1, func(b []byte) float64 { return float64(min(b[0], 1)) }},
}

func bfloat(bits uint16) float64 { return float64(math.Float32frombits(uint32(bits) << 16)) }

func rawValues(datatype string, raw []byte, n int) ([]float64, error) {
	r, ok := readers[datatype]
	if !ok {
		return nil, unfit{fmt.Errorf("datatype %q is not understood", datatype)}
	}
	if len(raw) != n*r.size {
		return nil, fmt.Errorf("%d raw bytes for %d values of %s", len(raw), n, datatype)
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = r.get(raw[i*r.size:])
	}
	return out, nil
}

// parse reads a JSON number and rounds it to a datatype, as the number was before it
// was written in decimals.
func parse(datatype, number string) (float64, error) {
	switch datatype {
	case "FP32", "FP16", "BF16":
		f, err := strconv.ParseFloat(number, 32)
		if err == nil && datatype == "FP16" {
			f = float64(float16.Fromfloat32(float32(f)).Float32())
		}
		if err == nil && datatype == "BF16" {
			bits := math.Float32bits(float32(f))
			f = bfloat(uint16((bits + 0x7fff + bits>>16&1) >> 16)) // to the nearest, ties to even
		}
		return f, err
	}
	return strconv.ParseFloat(number, 64)
}

// jsonValues flattens an array of numbers, nested to any depth.
func jsonValues(datatype string, data []byte, n int) ([]float64, error) {
	if len(data) == 0 {
		return nil, errors.New("neither data nor raw bytes")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	out := make([]float64, 0, min(n, len(data)/2+1))
	depth := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var f float64
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '[':
				depth++
			case ']':
				depth--
			default:
				return nil, errors.New("an object stands where a number is due")
			}
			if depth > maxRank {
				return nil, errors.New("arrays nested too deep")
			}
			continue
		case json.Number:
			if f, err = parse(datatype, v.String()); err != nil {
				return nil, unfit{fmt.Errorf("value %d: %w", len(out), err)}
			}
		case bool:
			if datatype != "BOOL" {
				return nil, unfit{fmt.Errorf("value %d is %v, not a number", len(out), v)}
			}
			if v {
				f = 1
			}
		case nil:
			return nil, unfit{fmt.Errorf("value %d is null", len(out))}
		default:
			return nil, unfit{fmt.Errorf("value %d is %q, not a number", len(out), tok)}
		}
		if len(out) == n {
			return nil, fmt.Errorf("more than %d values", n)
		}
		out = append(out, f)
	}
}
