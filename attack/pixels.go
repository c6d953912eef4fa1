package attack

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/x448/float16"

	"github.com/mettleml/mettle/tensor"
)

// Pixels are a sample in [0,1] as a record keeps it. Data holds little-endian values in
// row-major order: float32 (F32), half precision (F16), or rounded to 8 bits (U8, 255 for
// 1). In JSON the data are in base64.
type Pixels struct {
	Shape []int        `json:"shape"`
	DType tensor.DType `json:"dtype"`
	Data  []byte       `json:"data"`
}

// NewPixels converts x to dtype: F32, F16 or U8; "" means F32. Another type is an error.
func NewPixels(x *tensor.Tensor, dtype tensor.DType) (*Pixels, error) {
	if dtype == "" {
		dtype = tensor.F32
	}
	p := &Pixels{Shape: append([]int(nil), x.Shape()...), DType: dtype}
	le := binary.LittleEndian
	for _, v := range x.Data() {
		switch dtype {
		case tensor.F32:
			p.Data = le.AppendUint32(p.Data, math.Float32bits(v))
		case tensor.F16:
			p.Data = le.AppendUint16(p.Data, float16.Fromfloat32(v).Bits())
		case tensor.U8:
			p.Data = append(p.Data, byte(math.Round(255*min(max(float64(v), 0), 1))))
		default:
			return nil, fmt.Errorf("attack: pixels are kept as F32, F16 or U8, not as %s", dtype)
		}
	}
	return p, nil
}

// Tensor returns the sample.
func (p *Pixels) Tensor() *tensor.Tensor {
	x := tensor.New(p.Shape...)
	le := binary.LittleEndian
	for i := range x.Data() {
		switch p.DType {
		case tensor.F32:
			x.Data()[i] = math.Float32frombits(le.Uint32(p.Data[4*i:]))
		case tensor.F16:
			x.Data()[i] = float16.Frombits(le.Uint16(p.Data[2*i:])).Float32()
		case tensor.U8:
			x.Data()[i] = float32(p.Data[i]) / 255
		}
	}
	return x
}

// UnmarshalJSON implements json.Unmarshaler. Data that do not fit the shape are an error.
func (p *Pixels) UnmarshalJSON(b []byte) error {
	type plain Pixels
	var q plain
	if err := json.Unmarshal(b, &q); err != nil {
		return err
	}
	each := map[tensor.DType]int{tensor.F32: 4, tensor.F16: 2, tensor.U8: 1}[q.DType]
	n := len(q.Data)
	for _, d := range q.Shape {
		if d < 1 || n%d != 0 {
			return fmt.Errorf("attack: %d bytes of pixels do not fit shape %v of %s", len(q.Data), q.Shape, q.DType)
		}
		n /= d
	}
	if each == 0 || n != each {
		return fmt.Errorf("attack: %d bytes of pixels do not fit shape %v of %s", len(q.Data), q.Shape, q.DType)
	}
	*p = Pixels(q)
	return nil
}
