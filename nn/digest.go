package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// Digest returns a hash of what m is made of: the types of its subtrees, the
// statistics that its [BatchNorm] layers go by, and the names, shapes and values of
// its parameters and buffers. Settings that are neither, such as a stride or what a
// [Func] does, are not in it.
func Digest(m Tree) string {
	h := sha256.New()
	tell := func(m Tree) {
		fmt.Fprintf(h, "%T\n", m)
		if b, ok := m.(*BatchNorm); ok {
			fmt.Fprintln(h, b.Statistics)
		}
	}
	var b []byte
	tell(m)
	m.Walk(&Walker{enter: tell, visit: func(e Entry) bool {
		t := e.Value()
		fmt.Fprintln(h, e.Name, t.Shape())
		b = b[:0]
		for _, v := range t.Data() {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		h.Write(b)
		return true
	}})
	return hex.EncodeToString(h.Sum(nil)[:16])
}
