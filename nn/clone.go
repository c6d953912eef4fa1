package nn

import (
	"fmt"
	"reflect"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

var (
	paramType  = reflect.TypeFor[*autograd.Param]()
	tensorType = reflect.TypeFor[*tensor.Tensor]()
	countType  = reflect.TypeFor[*int64]()
)

// Clone returns a copy of m that shares no parameter, buffer or counter with it; if two
// fields of m hold the same one, the copy's fields hold the same copy.
//
// It follows exported fields, pointers, interfaces, slices, arrays and maps. It copies
// unexported fields and functions by value, so they must hold settings only. If one of them
// holds something that m's Walk names, Clone panics and names the field: export that field.
// Clone copies a tensor that Walk does not name if it reaches it; otherwise the copies
// share it.
func Clone[M Tree](m M) M {
	c := cloner{}
	copied := c.value(reflect.ValueOf(m)).Interface().(M)
	old := make(map[any]string)
	for e := range State(m) {
		old[identityOf(e)] = e.Name
	}
	for e := range State(copied) {
		if name, shared := old[identityOf(e)]; shared {
			tensor.Panic("nn.Clone", fmt.Sprintf("%q cannot be copied: it is held by %s; Clone follows exported fields only", name, holder(m, identityOf(e))))
		}
	}
	return copied
}

// holder says through which unexported field of m the pointer is reached.
func holder(m Tree, pointer any) string {
	target := reflect.ValueOf(pointer).Pointer()
	type visit struct {
		at uintptr
		t  reflect.Type
	}
	seen := make(map[visit]bool)
	var find func(v reflect.Value, field string) string
	find = func(v reflect.Value, field string) string {
		first := func(n int, at func(i int) (reflect.Value, string)) string {
			for i := range n {
				if f := find(at(i)); f != "" {
					return f
				}
			}
			return ""
		}
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() || seen[visit{v.Pointer(), v.Type()}] {
				return ""
			}
			if v.Pointer() == target && (v.Type() == paramType || v.Type() == tensorType || v.Type() == countType) {
				return field
			}
			seen[visit{v.Pointer(), v.Type()}] = true
			return find(v.Elem(), field)
		case reflect.Interface:
			if !v.IsNil() {
				return find(v.Elem(), field)
			}
		case reflect.Struct:
			return first(v.NumField(), func(i int) (reflect.Value, string) {
				if f := v.Type().Field(i); field == "" && !f.IsExported() {
					return v.Field(i), "the unexported field " + f.Name + " of " + v.Type().String()
				}
				return v.Field(i), field
			})
		case reflect.Slice, reflect.Array:
			return first(v.Len(), func(i int) (reflect.Value, string) { return v.Index(i), field })
		case reflect.Map:
			keys := v.MapKeys()
			return first(len(keys), func(i int) (reflect.Value, string) { return v.MapIndex(keys[i]), field })
		}
		return ""
	}
	if f := find(reflect.ValueOf(m), ""); f != "" {
		return f
	}
	return "a function"
}

func identityOf(e Entry) any {
	switch {
	case e.Param != nil:
		return e.Param
	case e.Counter != nil:
		return e.Counter
	}
	return e.Buffer
}

// A cloner remembers the copy of every pointer it has met.
type cloner map[any]reflect.Value

func (c cloner) value(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		id := v.Interface()
		if done, ok := c[id]; ok {
			return done
		}
		switch v.Type() {
		case paramType:
			c[id] = reflect.ValueOf(id.(*autograd.Param).Clone())
		case tensorType:
			c[id] = reflect.ValueOf(id.(*tensor.Tensor).Clone())
		default:
			p := reflect.New(v.Type().Elem())
			c[id] = p // before descending: the structure may be cyclic
			p.Elem().Set(c.value(v.Elem()))
		}
		return c[id]
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.Set(c.value(v.Elem()))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(c.value(v.Field(i)))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(c.value(v.Index(i)))
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(c.value(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for k, e := range v.Seq2() {
			out.SetMapIndex(k, c.value(e))
		}
		return out
	}
	return v
}
