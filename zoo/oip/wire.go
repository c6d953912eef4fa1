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

// HeaderLength is the header of the binary tensor extension: the size of the
// JSON part of a body whose rest is raw tensors.
const HeaderLength = "Inference-Header-Content-Length"

// extensionBinary is the name of the binary tensor extension.
const extensionBinary = "binary_tensor_data"

// ServerMetadata is the answer to GET v2.
type ServerMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// ModelMetadata is the answer to GET v2/models/NAME.
type ModelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions,omitempty"`
	Platform string           `json:"platform"`
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// TensorMetadata describes an input or an output of a model; -1 is a dimension
// of any size.
type TensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

// A Tensor is a named array in a request or an answer. Its values stand either
// in Data, as JSON numbers in row-major order (nested or flat), or in raw bytes
// behind the JSON, BinarySize of them.
type Tensor struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters *TensorParams   `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`

	raw []byte
}

// TensorParams are the parameters of the binary tensor extension: the size of raw
// bytes, and whether an output shall be raw, which nil leaves to the request's own.
type TensorParams struct {
	BinarySize *int64 `json:"binary_data_size,omitempty"`
	Binary     *bool  `json:"binary_data,omitempty"`
}

// RequestParams are the parameters of a request: whether all outputs shall be raw.
type RequestParams struct {
	BinaryOutput bool `json:"binary_data_output,omitempty"`
}

// An OutputRequest names an output that the answer shall hold.
type OutputRequest struct {
	Name       string        `json:"name"`
	Parameters *TensorParams `json:"parameters,omitempty"`
}

// A Request is the body of POST v2/models/NAME/infer.
type Request struct {
	ID         string          `json:"id,omitempty"`
	Parameters *RequestParams  `json:"parameters,omitempty"`
	Inputs     []Tensor        `json:"inputs"`
	Outputs    []OutputRequest `json:"outputs,omitempty"`
}

// A Response is the answer to a Request.
type Response struct {
	ModelName    string   `json:"model_name"`
	ModelVersion string   `json:"model_version,omitempty"`
	ID           string   `json:"id,omitempty"`
	Outputs      []Tensor `json:"outputs"`
}

// ErrorBody is what a server answers beside a status that is not 200.
type ErrorBody struct {
	Error string `json:"error"`
}

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

// errNull is the error for a score that is not there.
var errNull = errors.New("a value is null")

// Values decodes the tensor's content in row-major order. Nested arrays must
// agree with the shape in their number of values. A null, a string, a count
// that differs from the shape's or a type that is no number is an error.
func (t *Tensor) Values(limit int64) ([]float64, error) {
	n, err := elements(t.Shape, limit)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	var out []float64
	if t.raw != nil {
		out, err = rawValues(t.Datatype, t.raw, n)
	} else {
		out, err = jsonValues(t.Data, n)
	}
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if len(out) != n {
		return nil, fmt.Errorf("tensor %q: %d values for shape %v", t.Name, len(out), t.Shape)
	}
	return out, nil
}

func rawValues(datatype string, raw []byte, n int) ([]float64, error) {
	le := binary.LittleEndian
	var size int
	var get func([]byte) float64
	switch datatype {
	case "FP64":
		size, get = 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }
	case "FP32":
		size, get = 4, func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }
	case "FP16":
		size, get = 2, func(b []byte) float64 { return float64(float16.Frombits(le.Uint16(b)).Float32()) }
	case "BF16":
		size, get = 2, func(b []byte) float64 { return float64(math.Float32frombits(uint32(le.Uint16(b)) << 16)) }
	case "INT64":
		size, get = 8, func(b []byte) float64 { return float64(int64(le.Uint64(b))) }
	case "INT32":
		size, get = 4, func(b []byte) float64 { return float64(int32(le.Uint32(b))) }
	case "UINT8":
		size, get = 1, func(b []byte) float64 { return float64(b[0]) }
	default:
		return nil, fmt.Errorf("datatype %q is not understood", datatype)
	}
	if len(raw) != n*size {
		return nil, fmt.Errorf("%d raw bytes for %d values of %s", len(raw), n, datatype)
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = get(raw[i*size:])
	}
	return out, nil
}

// jsonValues flattens an array of numbers, nested to any depth.
func jsonValues(data []byte, n int) ([]float64, error) {
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
		case json.Number:
			f, err := v.Float64()
			if err != nil {
				return nil, fmt.Errorf("value %d: %w", len(out), err)
			}
			if len(out) == n {
				return nil, fmt.Errorf("more than %d values", n)
			}
			out = append(out, f)
		case nil:
			return nil, fmt.Errorf("value %d: %w", len(out), errNull)
		default:
			return nil, fmt.Errorf("value %d is %v, not a number", len(out), tok)
		}
	}
}

// encode writes a body: the JSON of head, then the raw bytes of tensors. jsonLen
// is 0 when there are none.
func encode(head any, tensors []Tensor) (body []byte, jsonLen int, err error) {
	body, err = json.Marshal(head)
	if err != nil {
		return nil, 0, err
	}
	n := len(body)
	for _, t := range tensors {
		if t.raw != nil {
			jsonLen = n
			body = append(body, t.raw...)
		}
	}
	return body, jsonLen, nil
}

// decode reads a body into head and hands the raw bytes behind its JSON to
// tensors(), in order.
func decode(body []byte, header string, head any, tensors func() []Tensor) error {
	rest := []byte(nil)
	if header != "" {
		n, err := strconv.Atoi(header)
		if err != nil || n < 0 || n > len(body) {
			return fmt.Errorf("header %s: %q does not fit a body of %d bytes", HeaderLength, header, len(body))
		}
		body, rest = body[:n], body[n:]
	}
	if err := json.Unmarshal(body, head); err != nil {
		return fmt.Errorf("not a message of the protocol: %w", err)
	}
	ts := tensors()
	for i := range ts {
		t := &ts[i]
		if t.Parameters == nil || t.Parameters.BinarySize == nil {
			continue
		}
		size := *t.Parameters.BinarySize
		if size < 0 || size > int64(len(rest)) {
			return fmt.Errorf("tensor %q: %d raw bytes announced, %d left", t.Name, size, len(rest))
		}
		t.raw, rest = rest[:size:size], rest[size:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes after the last tensor", len(rest))
	}
	return nil
}
