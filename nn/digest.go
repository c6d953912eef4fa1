package nn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mettleml/mettle/tensor"
)

// A HasSettings is a tree that says by which settings it works, beside its type and what it
// holds: a stride, a slope, what it normalises by.
type HasSettings interface {
	Tree
	Settings() string
}

// Digest returns a hash of what m is made of: the types of its subtrees, the settings of
// those that say them ([HasSettings]), and what [Write] writes of it. What a [Func] does, or a
// subtree keeps to itself, is not in it.
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
