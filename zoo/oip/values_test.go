package oip

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/x448/float16"
)

// extreme are float32 values whose decimals differ most from them, and random ones.
func extreme(seed uint64) []float32 {
	v := []float32{0, float32(math.Copysign(0, -1)), 1, 0.1, -0.1, 1. / 3, 2. / 3, math.Pi, 4.143731, 16777216, 16777217, 1e10, 1e-10, 123456.79,
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
		math.Float32frombits(0x007fffff), math.Float32frombits(0x00800000), math.Float32frombits(0x3f7fffff), math.Float32frombits(0x3f800001)}
	r := rand.New(rand.NewPCG(seed, 1))
	for len(v) < 4096 {
		if f := math.Float32frombits(r.Uint32()); !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) {
			v = append(v, f)
		}
	}
	return v
}

// TestBothEncodingsGiveTheSameScores: a float32 score is the same float64 whether it
// comes as raw bytes, as the shortest decimals that name it, or as all of them.
func TestBothEncodingsGiveTheSameScores(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	scores := extreme(seed)
	k := len(scores)
	v := zoo.ScorerFunc(zoo.Info{Name: "lin", Shape: info.Shape, Classes: k}, func(_ context.Context, _ *tensor.Tensor, out []float64) error {
		for i, f := range scores {
			out[i] = float64(f)
		}
		return nil
	})
	ours := NewHandler(v, HandlerOptions{})
	// As Python's json writes a float32 that became a float, and as 9 digits.
	decimals := func(write func(f float32) string) http.Handler {
		var b strings.Builder
		for i, f := range scores {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(write(f))
		}
		meta := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,1,2,3]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,%d]}]}`, k)
		return foreign(meta, says(200, fmt.Sprintf(`{"outputs":[{"name":"y","shape":[1,%d],"data":[[%s]]}]}`, k, b.String())))
	}
	for name, c := range map[string]struct {
		h   http.Handler
		enc Encoding
	}{
		"raw":       {ours, Binary},
		"JSON":      {ours, JSON},
		"as float":  {decimals(func(f float32) string { return strconv.FormatFloat(float64(f), 'g', -1, 64) }), JSON},
		"9 digits":  {decimals(func(f float32) string { return fmt.Sprintf("%.9g", f) }), JSON},
		"no dot, E": {decimals(func(f float32) string { return strconv.FormatFloat(float64(f), 'E', -1, 32) }), JSON},
	} {
		got := make([]float64, k)
		if err := dial(t, c.h, Options{Encoding: c.enc}).Scores(context.Background(), images(1), got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, f := range scores {
			if math.Float64bits(got[i]) != math.Float64bits(float64(f)) {
				t.Fatalf("%s: %v came as %v, want %v", name, f, got[i], float64(f))
			}
		}
	}
}

// TestHalfPrecisionInDecimals: every FP16 and BF16 value in decimals is that value.
func TestHalfPrecisionInDecimals(t *testing.T) {
	for bits := range 1 << 16 {
		for datatype, c := range map[string]struct {
			want   float64
			digits int
		}{"FP16": {float64(float16.Frombits(uint16(bits)).Float32()), 5}, "BF16": {float64(math.Float32frombits(uint32(bits) << 16)), 4}} {
			if math.IsNaN(c.want) || math.IsInf(c.want, 0) {
				continue
			}
			for _, s := range []string{strconv.FormatFloat(c.want, 'g', -1, 64), strconv.FormatFloat(c.want, 'g', -1, 32), strconv.FormatFloat(c.want, 'g', c.digits, 64)} {
				if got, err := parse(datatype, s); err != nil || math.Float64bits(got) != math.Float64bits(c.want) {
					t.Fatalf("%s %s is %v (%v), want %v", datatype, s, got, err, c.want)
				}
			}
		}
	}
}

// TestRawDatatypes: every datatype of numbers is read from raw bytes as from JSON.
func TestRawDatatypes(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		datatype string
		raw      []byte
		json     string
		want     []float64
	}{
		{"INT8", []byte{0, 127, 128, 255}, "[0,127,-128,-1]", []float64{0, 127, -128, -1}},
		{"UINT8", []byte{0, 127, 128, 255}, "[0,127,128,255]", []float64{0, 127, 128, 255}},
		{"BOOL", []byte{0, 1, 255, 0}, "[false,true,1,0]", []float64{0, 1, 1, 0}},
		{"INT16", le.AppendUint16(le.AppendUint16(nil, 0x7fff), 0x8000), "[32767,-32768]", []float64{32767, -32768}},
		{"UINT16", le.AppendUint16(le.AppendUint16(nil, 1), 0xffff), "[1,65535]", []float64{1, 65535}},
		{"INT32", le.AppendUint32(le.AppendUint32(nil, 7), 0xffffffff), "[7,-1]", []float64{7, -1}},
		{"UINT32", le.AppendUint32(le.AppendUint32(nil, 7), 0xffffffff), "[7,4294967295]", []float64{7, 4294967295}},
		{"INT64", le.AppendUint64(le.AppendUint64(nil, 1<<53), math.MaxUint64-1), "[9007199254740992,-2]", []float64{1 << 53, -2}},
		{"UINT64", le.AppendUint64(le.AppendUint64(nil, 1<<53), 1<<63), "[9007199254740992,9223372036854775808]", []float64{1 << 53, 1 << 63}},
		{"FP16", le.AppendUint16(le.AppendUint16(nil, 0x3555), 0xbc00), "[0.3333,-1]", []float64{0.333251953125, -1}},
		{"BF16", le.AppendUint16(le.AppendUint16(nil, 0x3eab), 0xbf80), "[0.334,-1]", []float64{0.333984375, -1}},
		{"FP32", le.AppendUint32(le.AppendUint32(nil, 0x3eaaaaab), 0xbf800000), "[0.33333334,-1]", []float64{float64(float32(1) / 3), -1}},
		{"FP64", le.AppendUint64(le.AppendUint64(nil, math.Float64bits(1./3)), math.Float64bits(-1)), "[0.3333333333333333,-1]", []float64{1. / 3, -1}},
	} {
		shape := Shape{1, int64(len(c.want))}
		raw := Tensor{Name: "y", Datatype: c.datatype, Shape: shape, raw: c.raw}
		text := Tensor{Name: "y", Datatype: c.datatype, Shape: shape, Data: json.RawMessage(c.json)}
		for kind, tensor := range map[string]Tensor{"raw": raw, "JSON": text} {
			if got, err := tensor.Values(99); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s %s: %v (%v), want %v", kind, c.datatype, got, err, c.want)
			}
		}
		raw.raw = c.raw[:len(c.raw)-1]
		if v, err := raw.Values(99); err == nil {
			t.Errorf("%s of a byte too few: %v", c.datatype, v)
		}
	}
}
