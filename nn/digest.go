package nn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mettleml/mettle/tensor"
)

// A HasSettings is a tree that describes its settings in a string, such as a stride, a
// slope, or the statistics that it uses. Digest includes it.
type HasSettings interface {
	Tree
	Settings() string
}

// Digest returns a hash of m: the types of its subtrees, their settings ([HasSettings]),
// and the state that [Write] writes. The code of a [Func] and unexported settings are not
// in it.
func Digest(m Tree) string {
	h := sha256.New()
	tell := func(m Tree) {
		fmt.Fprintf(h, "%T\n", m)
		if s, ok := m.(HasSettings); ok {
			fmt.Fprintf(h, "%q\n", s.Settings())
		}
	}
	tell(m)
	m.Walk(&Walker{enter: tell, visit: func(Entry) bool { return true }})
	if err := Write(h, m, SaveOptions{}); err != nil {
		tensor.Panic("nn.Digest", err.Error())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
