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
)

// Clone returns a copy of m that shares no parameter and no buffer with it; two
// fields of m that hold the same one hold the same copy afterwards. It follows
// exported fields, pointers, interfaces, slices, arrays and maps; unexported fields
// and functions are copied as they are. It panics if m hides a parameter or buffer
// where Clone cannot reach it.
func Clone[M Tree](m M) M {
	c := cloner{}
	copied := c.value(reflect.ValueOf(m)).Interface().(M)
	old := make(map[any]string)
	for e := range State(m) {
		old[identityOf(e)] = e.Name
	}
	for e := range State(copied) {
		if name, shared := old[identityOf(e)]; shared {
			tensor.Panic("nn.Clone", fmt.Sprintf("%q is held by an unexported field and cannot be copied", name))
		}
	}
	return copied
}

func identityOf(e Entry) any {
	if e.Param != nil {
		return e.Param
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
