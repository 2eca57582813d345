package reference

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Model is a kind of file: its types, the file itself first and every other
// one after the type that mentions it first.
type Model struct {
	Types  []*Type
	byType map[reflect.Type]*Type
	source *Source
}

// Type is an object in a file.
type Type struct {
	// Name is that of the Go type; it is unique within the model.
	Name string
	// Doc says what the object is.
	Doc string
	// Fields are in the order of the source, those of embedded types included.
	Fields []*Field
}

// Field is a key of an object.
type Field struct {
	Key string `json:"key"`
	// Shape is what stands around Elem: "list of ", "map to " and so on.
	Shape string `json:"shape,omitempty"`
	// Elem names a scalar, a foreign type or Object.
	Elem string `json:"elem"`
	// Object is set where Elem is described by the model.
	Object *Type  `json:"-"`
	Doc    string `json:"doc"`

	of reflect.Type
}

// Scalars of foreign packages, and objects that are described elsewhere.
var foreign = map[reflect.Type]string{
	reflect.TypeFor[metav1.Duration]():      "duration",
	reflect.TypeFor[time.Duration]():        "duration",
	reflect.TypeFor[metav1.Time]():          "time",
	reflect.TypeFor[time.Time]():            "time",
	reflect.TypeFor[runtime.RawExtension](): "any",
	reflect.TypeFor[resource.Quantity]():    "quantity",
}

// New describes the files that are decoded into root.
func New(root reflect.Type, source *Source) (*Model, error) {
	m := &Model{byType: map[reflect.Type]*Type{}, source: source}
	if _, err := m.object(root); err != nil {
		return nil, err
	}
	return m, nil
}

// Root is the file itself.
func (m *Model) Root() *Type { return m.Types[0] }

func (m *Model) object(t reflect.Type) (*Type, error) {
	if known := m.byType[t]; known != nil {
		return known, nil
	}
	doc, err := m.source.ofType(t)
	if err != nil {
		return nil, err
	}
	out := &Type{Name: m.name(t), Doc: doc.text}
	m.byType[t] = out
	m.Types = append(m.Types, out)
	if err := m.fields(out, t, doc); err != nil {
		return nil, err
	}
	names := map[string]string{}
	goNames(t, names)
	for _, f := range out.Fields {
		f.Doc = forReaders(f.Doc, names)
	}
	return out, nil
}

// name is unique: two types of one name get that of their package.
func (m *Model) name(t reflect.Type) string {
	for _, other := range m.Types {
		if other.Name == t.Name() {
			return t.Name() + " (" + t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:] + ")"
		}
	}
	return t.Name()
}

func (m *Model) fields(out *Type, t reflect.Type, doc typeDoc) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		key, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if key == "-" || (!sf.IsExported() && !sf.Anonymous) {
			continue
		}
		if sf.Anonymous && (key == "" || strings.Contains(options, "inline")) {
			embedded := sf.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			inner, err := m.source.ofType(embedded)
			if err != nil {
				return err
			}
			if err := m.fields(out, embedded, inner); err != nil {
				return err
			}
			continue
		}
		if key == "" {
			key = sf.Name
		}
		f := &Field{Key: key, Doc: doc.fields[sf.Name], of: sf.Type}
		out.Fields = append(out.Fields, f)
		var err error
		if f.Shape, f.Elem, f.Object, err = m.describe(sf.Type); err != nil {
			return fmt.Errorf("%s.%s: %w", t, sf.Name, err)
		}
		switch {
		case f.Doc == "" && f.Object != nil:
			f.Doc = f.Object.Doc
		case f.Elem == shorthand:
			if err := m.explainShorthand(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe tells a type in words.
func (m *Model) describe(t reflect.Type) (shape, elem string, object *Type, err error) {
	if name, ok := foreign[t]; ok {
		return "", name, nil, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.describe(t.Elem())
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "", "any", nil, nil
		}
		shape, elem, object, err = m.describe(t.Elem())
		return "list of " + shape, elem, object, err
	case reflect.Map:
		shape, elem, object, err = m.describe(t.Elem())
		return "map to " + shape, elem, object, err
	case reflect.String:
		return "", "string", nil, nil
	case reflect.Bool:
		return "", "boolean", nil, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "", "integer", nil, nil
	case reflect.Float32, reflect.Float64:
		return "", "number", nil, nil
	case reflect.Interface:
		return "", "any", nil, nil
	case reflect.Struct:
		if !strings.HasPrefix(t.PkgPath(), modulePrefix) {
			return "", "Kubernetes " + t.Name(), nil, nil
		}
		if single := onlyDuration(t); single {
			return "", "duration", nil, nil
		}
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return "", shorthand, nil, nil
		}
		object, err = m.object(t)
		if err != nil {
			return "", "", nil, err
		}
		return "", object.Name, object, nil
	}
	return "", "", nil, fmt.Errorf("a %s cannot stand in a file", t)
}

// shorthand is the type of values that may be a single word instead of an object.
const shorthand = "string or map"

// explainShorthand adds what the type says about its two forms.
func (m *Model) explainShorthand(f *Field) error {
	t := f.of
	for t.Kind() != reflect.Struct {
		t = t.Elem()
	}
	about, err := m.source.ofType(t)
	if err != nil {
		return err
	}
	f.Doc = strings.TrimSpace(f.Doc + " A value is: " + about.text)
	return nil
}

// onlyDuration tells a struct that wraps a duration, which is written as a string.
func onlyDuration(t reflect.Type) bool {
	return t.NumField() == 1 && t.Field(0).Anonymous && t.Field(0).Type == reflect.TypeFor[time.Duration]()
}

// goNames maps the Go names of the fields of t, and of what it embeds, to keys.
func goNames(t reflect.Type, into map[string]string) {
	for i := range t.NumField() {
		sf := t.Field(i)
		key, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch {
		case sf.Anonymous && key == "" && sf.Type.Kind() == reflect.Struct:
			goNames(sf.Type, into)
		case sf.IsExported() && key != "" && key != "-":
			into[sf.Name] = key
		}
	}
}
