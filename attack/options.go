package attack

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Part is an option of interface type, such as a loss, a decoder or a source of noise.
// Its name distinguishes it from others of its kind.
type Part interface{ Name() string }

// A Hider is an attack or a part of one with state that determines its queries and that its
// JSON does not show: an unexported field, a function, a field left out of the JSON. Hidden
// returns a digest of each such field under the field's name. The digests become part of
// the options and of the campaign's fingerprint. The digest "" says that a field, such as a
// cache, determines no query.
//
// A campaign refuses an attack, or a Part of one, with undeclared hidden state.
type Hider interface{ Hidden() map[string]string }

// EncodeOptions returns the JSON of an attack or of a part of one: an object of its
// exported fields in their order. A Part becomes an object with one field, named after the
// part. A network or a tensor becomes its digest ([nn.Digest]). The digests of a [Hider]
// are added under the names it gives. It is an error if v has unexported state that no
// [Hider] declares.
func EncodeOptions(v any) (json.RawMessage, error) {
	return encodeOptions(reflect.ValueOf(v), fmt.Sprintf("%T", v))
}

var (
	treeType    = reflect.TypeFor[nn.Tree]()
	partType    = reflect.TypeFor[Part]()
	jsonType    = reflect.TypeFor[json.Marshaler]()
	textType    = reflect.TypeFor[encoding.TextMarshaler]()
	tensorType  = reflect.TypeFor[*tensor.Tensor]()
	errUnstated = errors.New("its queries may follow from it, and its options do not show it: make it an exported field, or state a digest of it by a method Hidden (attack.Hider)")
)

func encodeOptions(v reflect.Value, path string) (json.RawMessage, error) {
	if !v.IsValid() {
		return json.RawMessage("null"), nil
	}
	if k := v.Kind(); (k == reflect.Pointer || k == reflect.Interface || k == reflect.Slice || k == reflect.Map || k == reflect.Func || k == reflect.Chan) && v.IsNil() {
		return json.RawMessage("null"), nil
	}
	t := v.Type()
	switch {
	case v.Kind() == reflect.Interface:
		e := v.Elem()
		if e.Type().Implements(treeType) {
			return encodeOptions(e, path)
		}
		if !e.Type().Implements(partType) {
			return nil, fmt.Errorf("attack: %s is a %v, which has no method Name (attack.Part): %w", path, e.Type(), errUnstated)
		}
		value, err := encodeOptions(e, path)
		if err != nil {
			return nil, err
		}
		name, err := json.Marshal(e.Interface().(Part).Name())
		return slices.Concat(json.RawMessage("{"), name, json.RawMessage(":"), value, json.RawMessage("}")), err
	case t.Implements(treeType):
		return json.Marshal("network " + nn.Digest(v.Interface().(nn.Tree)))
	case t == tensorType:
		h := fnv.New128a()
		x := v.Interface().(*tensor.Tensor)
		binary.Write(h, binary.LittleEndian, x.Data())
		return json.Marshal(fmt.Sprintf("tensor %v %s", x.Shape(), hex.EncodeToString(h.Sum(nil))))
	case t.Implements(jsonType) || t.Implements(textType):
		return json.Marshal(v.Interface())
	}
	switch v.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return nil, fmt.Errorf("attack: %s is a %v: %w", path, t, errUnstated)
	case reflect.Pointer:
		if v.Elem().Kind() == reflect.Struct {
			return encodeStruct(v.Elem(), v, path)
		}
		return encodeOptions(v.Elem(), path)
	case reflect.Struct:
		return encodeStruct(v, v, path)
	case reflect.Slice, reflect.Array:
		b := json.RawMessage("[")
		for i := range v.Len() {
			e, err := encodeOptions(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, e...)
		}
		return append(b, ']'), nil
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return nil, fmt.Errorf("attack: %s: %w", path, err)
	}
	return b, nil
}

// encodeStruct encodes a struct whose methods are those of self, which is it or a
// pointer to it.
func encodeStruct(v, self reflect.Value, path string) (json.RawMessage, error) {
	var hidden map[string]string
	if h, ok := self.Interface().(Hider); ok {
		hidden = h.Hidden()
	}
	b := json.RawMessage("{")
	add := func(name string, value json.RawMessage) error {
		if len(b) > 1 {
			b = append(b, ',')
		}
		key, err := json.Marshal(name)
		b = append(append(append(b, key...), ':'), value...)
		return err
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, omit := fieldName(f)
		if digest, ok := hidden[f.Name]; ok {
			if digest == "" {
				continue
			}
			value, err := json.Marshal(digest)
			if err := errors.Join(err, add(f.Name, value)); err != nil {
				return nil, err
			}
			continue
		}
		if !f.IsExported() || name == "-" {
			if v.Field(i).IsZero() || isLock(f.Type) {
				continue
			}
			return nil, fmt.Errorf("attack: %s hides field %s: %w", path, f.Name, errUnstated)
		}
		if omit && v.Field(i).IsZero() {
			continue
		}
		value, err := encodeOptions(v.Field(i), path+"."+f.Name)
		if err == nil {
			err = add(name, value)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// fieldName is a field's name in JSON, "-" if it has none there, and whether it is left
// out when it is zero.
func fieldName(f reflect.StructField) (name string, omit bool) {
	tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if tag == "" {
		tag = f.Name
	}
	return tag, strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
}

// isLock reports whether a type is one of package sync, from whose values nothing follows.
func isLock(t reflect.Type) bool { return t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic" }

// Networks returns the network that an attack's options name: by a name of the caller's
// choice, or by the digest that [EncodeOptions] wrote.
type Networks func(name string) (nn.Module, error)

// NamedNetworks finds networks by their names in the map, and by their digests.
func NamedNetworks(named map[string]nn.Module) Networks {
	return func(name string) (nn.Module, error) {
		if n, ok := named[name]; ok {
			return n, nil
		}
		var have []string
		for k, n := range named {
			if "network "+nn.Digest(n) == name {
				return n, nil
			}
			have = append(have, k)
		}
		slices.Sort(have)
		return nil, fmt.Errorf("attack: no network %q is at hand (there are %s)", name, strings.Join(have, ", "))
	}
}

// parts are what an option of an interface type may hold.
var parts = []func() Part{
	func() Part { return zoo.Hinge{} },
	func() Part { return zoo.Margin{} },
	func() Part { return zoo.CrossEntropy{} },
	func() Part { return zoo.DLR{} },
	func() Part { return Bilinear{} },
	func() Part { return &Learned{} },
}

// RegisterPart makes a kind of part known to [DecodeOptions]. The function make returns a
// zero value, or a pointer to one, of the type that attacks hold. Call RegisterPart from an
// init function. It panics if a part with the same name and interfaces is registered.
func RegisterPart(make func() Part) {
	p := make()
	for _, old := range parts {
		if o := old(); o.Name() == p.Name() && reflect.TypeOf(o) == reflect.TypeOf(p) {
			tensor.Panic("attack.RegisterPart", fmt.Sprintf("%s is registered twice", p.Name()))
		}
	}
	parts = append(parts, make)
}

// DecodeOptions is the inverse of [EncodeOptions]: it sets the fields of the struct that
// into points to from JSON. Fields that the JSON does not name stay as they are. A name
// that is no field of the struct is an error. The function networks finds the networks that
// the JSON names; it may be nil if there are none.
func DecodeOptions(b json.RawMessage, into any, networks Networks) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		tensor.Panic("attack.DecodeOptions", fmt.Sprintf("%T is no pointer", into))
	}
	return decodeOptions(b, v.Elem(), networks, fmt.Sprintf("%T", into)[1:])
}

func decodeOptions(b json.RawMessage, v reflect.Value, networks Networks, path string) error {
	b = bytes.TrimSpace(b)
	t := v.Type()
	if bytes.Equal(b, []byte("null")) {
		v.SetZero()
		return nil
	}
	switch {
	case t.Implements(treeType):
		var name string
		if err := json.Unmarshal(b, &name); err != nil {
			return fmt.Errorf("attack: %s is a network: its name or digest is due, not %s", path, b)
		}
		if networks == nil {
			return fmt.Errorf("attack: %s: no networks are at hand for %q", path, name)
		}
		n, err := networks(name)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !reflect.TypeOf(n).AssignableTo(t) {
			return fmt.Errorf("attack: %s: network %q is a %T, not a %v", path, name, n, t)
		}
		v.Set(reflect.ValueOf(n))
		return nil
	case v.Kind() == reflect.Interface:
		return decodePart(b, v, networks, path)
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		p := reflect.New(t.Elem())
		v.Set(p)
		return decodeOptions(b, p.Elem(), networks, path)
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()), reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
	case v.Kind() == reflect.Struct:
		return decodeStruct(b, v, networks, path)
	}
	if err := json.Unmarshal(b, v.Addr().Interface()); err != nil {
		return fmt.Errorf("attack: %s: %w", path, err)
	}
	return nil
}

func decodeStruct(b json.RawMessage, v reflect.Value, networks Networks, path string) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return fmt.Errorf("attack: %s: an object of options is due, not %.60s", path, b)
	}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return fmt.Errorf("attack: %s: %w", path, err)
		}
		key := tok.(string) // as the decoder sees to
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("attack: %s.%s: %w", path, key, err)
		}
		var names []string
		at := -1
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if name, _ := fieldName(f); f.IsExported() && name != "-" {
				names = append(names, name)
				if strings.EqualFold(name, key) {
					at = i
				}
			}
		}
		if at < 0 {
			return fmt.Errorf("attack: %s has no option %q (it has %s)", path, key, strings.Join(names, ", "))
		}
		if err := decodeOptions(value, v.Field(at), networks, path+"."+key); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("attack: %s: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("attack: %s: something follows the options", path)
	}
	return nil
}

// decodePart sets an option of an interface type.
func decodePart(b json.RawMessage, v reflect.Value, networks Networks, path string) error {
	var named map[string]json.RawMessage
	var name string
	value := json.RawMessage("{}")
	switch err := json.Unmarshal(b, &named); {
	case err == nil && len(named) == 1:
		for name, value = range named {
		}
	case err != nil && json.Unmarshal(b, &name) == nil: // the name alone
	default:
		return fmt.Errorf("attack: %s: a name, or an object of one field that is the name, is due, not %.60s", path, b)
	}
	var have []string
	for _, make := range parts {
		p := make()
		t := reflect.TypeOf(p)
		if !t.AssignableTo(v.Type()) {
			continue
		}
		if p.Name() != name {
			have = append(have, p.Name())
			continue
		}
		at := reflect.New(t)
		at.Elem().Set(reflect.ValueOf(p))
		if err := decodeOptions(value, at.Elem(), networks, path); err != nil {
			return err
		}
		v.Set(at.Elem())
		return nil
	}
	return fmt.Errorf("attack: %s: %q is unknown (there are %s)", path, name, strings.Join(have, ", "))
}
