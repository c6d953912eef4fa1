package oip

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// HeaderLength is the HTTP header of the binary tensor extension: the size in bytes of the
// body's JSON part. Raw tensors follow it.
const HeaderLength = "Inference-Header-Content-Length"

// extensionBinary is the name of the binary tensor extension.
const extensionBinary = "binary_tensor_data"

// Text is a string in an informative field, such as a version. It decodes from any JSON
// value, because some servers write a number there.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case string(b) != "null":
		*t = Text(b)
	}
	return nil
}

// Shape is a tensor's shape. In metadata, -1 is a dimension of any size. It is read
// from numbers and from numbers in quotes (gRPC gateways write 64-bit numbers so); null
// and a name, such as ONNX's "batch_size", stand for -1.
type Shape []int64

// UnmarshalJSON implements json.Unmarshaler.
func (s *Shape) UnmarshalJSON(b []byte) error {
	var dims []any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&dims); err != nil {
		return fmt.Errorf("shape %.40s is no list of numbers", b)
	}
	*s = nil
	for _, v := range dims {
		n, err := strconv.ParseInt(strings.TrimSuffix(fmt.Sprint(v), ".0"), 10, 64)
		if _, name := v.(string); err != nil && (name || v == nil) {
			n, err = -1, nil
		}
		if err != nil {
			return fmt.Errorf("shape %.40s has a dimension that is no whole number", b)
		}
		*s = append(*s, n)
	}
	return nil
}

// ServerMetadata is the answer to GET v2.
type ServerMetadata struct {
	Name       Text     `json:"name"`
	Version    Text     `json:"version"`
	Extensions []string `json:"extensions"`
}

// ModelMetadata is the answer to GET v2/models/NAME.
type ModelMetadata struct {
	Name     Text             `json:"name"`
	Versions []Text           `json:"versions,omitempty"`
	Platform Text             `json:"platform"`
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// TensorMetadata describes an input or an output of a model.
type TensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    Shape  `json:"shape"`
}

// A Tensor is a named array in a request or an answer. Its values are either in Data, as
// JSON numbers in row-major order (nested or flat), or in raw bytes after the JSON,
// TensorParams.BinarySize of them.
type Tensor struct {
	Name       string          `json:"name"`
	Shape      Shape           `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters *TensorParams   `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`

	raw []byte
}

// TensorParams are a tensor's parameters of the binary tensor extension.
type TensorParams struct {
	BinarySize *int64 `json:"binary_data_size,omitempty"` // of the raw bytes; nil means the values are in the JSON
	Binary     *bool  `json:"binary_data,omitempty"`      // whether a requested output is raw; nil means RequestParams.BinaryOutput
}

// RequestParams are a request's parameters of the binary tensor extension.
type RequestParams struct {
	BinaryOutput bool `json:"binary_data_output,omitempty"` // request raw bytes for all outputs
}

// An OutputRequest names an output that the answer must hold.
type OutputRequest struct {
	Name       string        `json:"name"`
	Parameters *TensorParams `json:"parameters,omitempty"`
}

// A Request is the body of POST v2/models/NAME/infer.
type Request struct {
	ID         Text            `json:"id,omitempty"`
	Parameters *RequestParams  `json:"parameters,omitempty"`
	Inputs     []Tensor        `json:"inputs"`
	Outputs    []OutputRequest `json:"outputs,omitempty"`
}

// A Response is the answer to a Request.
type Response struct {
	ModelName    Text     `json:"model_name"`
	ModelVersion Text     `json:"model_version,omitempty"`
	ID           Text     `json:"id,omitempty"`
	Outputs      []Tensor `json:"outputs"`
}

// ErrorBody is the body of an answer with a status other than 200.
type ErrorBody struct {
	Error string `json:"error"`
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
		if bare := bareNumber(body, err); bare != "" {
			return unfit{fmt.Errorf("a value is %s", bare)}
		}
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

// bareNumber is the NaN or infinity that err found in a body, "" if it found another
// fault. JSON has neither, but Python writes both.
func bareNumber(body []byte, err error) string {
	var s *json.SyntaxError
	if !errors.As(err, &s) {
		return ""
	}
	rest := bytes.TrimPrefix(body[max(s.Offset-2, 0):], []byte("-")) // the fault is at the letter or right after
	for _, bare := range []string{"NaN", "Infinity"} {
		for skip := range 2 {
			if len(rest) > skip && bytes.HasPrefix(rest[skip:], []byte(bare)) {
				return bare
			}
		}
	}
	return ""
}
