package nn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mettleml/mettle/tensor"
)

// Digest returns a hash of what m is made of: the types of its subtrees, the
// statistics that its [BatchNorm] layers go by, and what [Write] writes of it.
// Settings that are neither, such as a stride or what a [Func] does, are not in it.
func Digest(m Tree) string {
	h := sha256.New()
	tell := func(m Tree) {
		fmt.Fprintf(h, "%T\n", m)
		if b, ok := m.(*BatchNorm); ok {
			fmt.Fprintln(h, b.Statistics)
		}
	}
	tell(m)
	m.Walk(&Walker{enter: tell, visit: func(Entry) bool { return true }})
	if err := Write(h, m, SaveOptions{}); err != nil {
		tensor.Panic("nn.Digest", err.Error())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
