package yamldec

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Positioned is implemented by structs that want to know where they came from.
// It is called after the fields were set.
type Positioned interface {
	SetPosition(line, column int)
}

var (
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	positionedType  = reflect.TypeFor[Positioned]()
)

// typeInfo is what the decoder needs to know about a type.
type typeInfo struct {
	custom     bool // decodes itself from JSON
	positioned bool
	size       int64
	fields     map[string]*field // by exact name
	folded     map[string]*field // by lower-case name
}

type field struct {
	name  string
	index []int
	// outer is the type of the field, or of the embedded struct that has it.
	outer reflect.Type
}

// field finds a field by its exact name, else by its name in any case.
func (ti *typeInfo) field(name string) *field {
	if f := ti.fields[name]; f != nil {
		return f
	}
	return ti.folded[strings.ToLower(name)]
}

// info returns what is known about t, looking only once.
func (d *Decoder) info(t reflect.Type) *typeInfo {
	if known, ok := d.types.Load(t); ok {
		return known.(*typeInfo)
	}
	ptr := reflect.PointerTo(t)
	ti := &typeInfo{
		custom:     t.Kind() != reflect.Pointer && ptr.Implements(unmarshalerType),
		positioned: t.Kind() == reflect.Struct && ptr.Implements(positionedType),
		size:       int64(t.Size()),
	}
	if t.Kind() == reflect.Struct && !ti.custom {
		ti.fields, ti.folded = map[string]*field{}, map[string]*field{}
		collectFields(t, nil, ti.fields)
		for _, f := range ti.fields {
			f.outer = t.Field(f.index[0]).Type
		}
		for name, f := range ti.fields {
			ti.folded[strings.ToLower(name)] = f
		}
	}
	known, _ := d.types.LoadOrStore(t, ti)
	return known.(*typeInfo)
}

// collectFields lists the fields as encoding/json names them; an outer field
// hides an inner one of the same name.
func collectFields(t reflect.Type, at []int, into map[string]*field) {
	var embedded []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			embedded = append(embedded, f)
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if _, hidden := into[name]; !hidden {
			into[name] = &field{name: name, index: join(at, i)}
		}
	}
	for _, f := range embedded {
		collectFields(f.Type, join(at, f.Index[0]), into)
	}
}

func join(at []int, i int) []int {
	return append(append(make([]int, 0, len(at)+1), at...), i)
}
