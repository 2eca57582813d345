package yamldec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Limits bound what decoding one file may cost; zero is the default.
type Limits struct {
	// Bytes is the size of the input. Default: 64 MiB.
	Bytes int
	// Nodes is the number of values, counting those behind aliases once for
	// each use. Default: 10 million that are written, and 4 million more behind
	// aliases.
	Nodes int
	// Depth is the nesting of values. Default: 200.
	Depth int
	// Memory is an estimate of the bytes of the decoded values. Default: 1 GiB.
	Memory int64
}

// aliasedNodes is how many values may stand behind aliases by default.
const aliasedNodes = 4_000_000

// separators stand before every value but the first.
const separators = ",:[{-?\n"

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 64 << 20
	}
	if l.Nodes == 0 {
		l.Nodes = 10_000_000
	}
	if l.Depth == 0 {
		l.Depth = 200
	}
	if l.Memory == 0 {
		l.Memory = 1 << 30
	}
	return l
}

// Options say how a file is decoded.
type Options struct {
	// Strict makes unknown fields problems.
	Strict bool
	// QuotedStrings makes a number or a boolean a problem where a string is
	// wanted, with one exception that existing files rely on: it still becomes a
	// string if every field around it is declared directly in its struct, not
	// in an embedded one. Single letters (y, n) are always strings there.
	QuotedStrings bool
	Limits        Limits
	// Spent, if set, is increased by what was used, so that several files can
	// share a budget.
	Spent *Spent
}

// Spent is what decoding used of its limits.
type Spent struct {
	// Nodes counts values, those behind aliases once for each use.
	Nodes int
	// Memory is an estimate of the bytes of the decoded values.
	Memory int64
}

// Kind tells problems apart.
type Kind string

// The kinds.
const (
	// Syntax: the file is not YAML, or exceeds a limit. Nothing was decoded.
	Syntax Kind = "syntax"
	// Type: a value is not what its field takes.
	Type Kind = "type"
	// UnknownField: no field has this name. Reported only by strict decoding.
	UnknownField Kind = "unknown-field"
	// DuplicateKey: a key stands twice in a map; the last one counts. Reported
	// only by strict decoding, and harmless.
	DuplicateKey Kind = "duplicate-key"
)

// Problem is one mistake in a file.
type Problem struct {
	Kind Kind
	// Line and Column count from 1; 0 is unknown.
	Line, Column int
	// Field is the path of the value, such as plank.max_goroutines or
	// presubmits.org/repo[2].spec.
	Field string
	// Message tells what was found and what was expected.
	Message string
}

func (p Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// maxProblems ends the report of one file; more help nobody.
const maxProblems = 100

// Decoder remembers the types it has seen. The zero value is ready, and safe
// for concurrent use.
type Decoder struct {
	types sync.Map
}

// Decode reads the first document of data into the value that into points to,
// which should be zero. Fields with problems keep their zero value, all others
// are set. Empty input is valid.
func (d *Decoder) Decode(data []byte, into any, opts Options) []Problem {
	root, problem := Parse(data, opts.Limits)
	if problem != nil {
		return []Problem{*problem}
	}
	if root == nil {
		return nil
	}
	r := &run{Decoder: d, strict: opts.Strict, quoted: opts.QuotedStrings, limits: opts.Limits.withDefaults()}
	if opts.Limits.Nodes == 0 {
		r.limits.Nodes = aliasedNodes + countAny(data, separators)
	}
	v := reflect.ValueOf(into).Elem()
	r.decode(root, v, v.Type())
	if opts.Spent != nil {
		opts.Spent.Nodes += r.nodes
		opts.Spent.Memory += r.memory
	}
	return r.problems
}

// Parse reads the first document of data; nil for an empty one.
func Parse(data []byte, limits Limits) (root *yaml.Node, problem *Problem) {
	limits = limits.withDefaults()
	if len(data) > limits.Bytes {
		return nil, &Problem{Kind: Syntax, Message: fmt.Sprintf("the file has %d bytes, expected at most %d", len(data), limits.Bytes)}
	}
	// Every value but the first follows one of these; a file that has too many
	// is refused before its values take a hundred times its size.
	if n := countAny(data, separators); n > limits.Nodes {
		return nil, &Problem{Kind: Syntax, Message: fmt.Sprintf("the file may have %d values, expected at most %d", n, limits.Nodes)}
	}
	defer func() {
		if r := recover(); r != nil {
			root, problem = nil, &Problem{Kind: Syntax, Message: fmt.Sprintf("not readable as YAML: %v", r)}
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, syntaxProblem(err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

func countAny(data []byte, chars string) int {
	n := 0
	for i := range len(chars) {
		n += bytes.Count(data, []byte{chars[i]})
	}
	return n
}

var lineInError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

func syntaxProblem(err error) *Problem {
	message := err.Error()
	m := lineInError.FindStringSubmatch(message)
	line, _ := strconv.Atoi(m[1])
	return &Problem{Kind: Syntax, Line: line, Message: "not valid YAML: " + message[len(m[0]):]}
}

// run is one decoding.
type run struct {
	*Decoder
	strict   bool
	quoted   bool
	limits   Limits
	nodes    int
	memory   int64
	depth    int
	stopped  bool
	path     []segment
	problems []Problem
}

// segment is a step of a path: a key, or an index where key is empty.
type segment struct {
	key   string
	index int
}

func (r *run) report(kind Kind, n *yaml.Node, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		r.stopped = true
		return
	}
	r.problems = append(r.problems, Problem{
		Kind: kind, Line: n.Line, Column: n.Column, Field: render(r.path), Message: fmt.Sprintf(format, args...),
	})
}

func render(path []segment) string {
	var b strings.Builder
	for _, s := range path {
		switch {
		case s.key == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case b.Len() > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}

func (r *run) expected(n *yaml.Node, want string) {
	r.report(Type, n, "found %s, expected %s", describe(n), want)
}

// spend takes from the budget; false ends the decoding.
func (r *run) spend(n *yaml.Node, memory int64) bool {
	if r.stopped {
		return false
	}
	r.nodes++
	r.memory += memory
	switch {
	case r.nodes > r.limits.Nodes:
		r.report(Syntax, n, "the file has more than %d values, counting aliases", r.limits.Nodes)
	case r.memory > r.limits.Memory:
		r.report(Syntax, n, "the file needs more than %d bytes of memory", r.limits.Memory)
	case r.depth > r.limits.Depth:
		r.report(Syntax, n, "the file is nested deeper than %d levels", r.limits.Depth)
	default:
		return true
	}
	r.stopped = true
	return false
}

// decode sets v. lenient is the type by which numbers and booleans may become
// strings: that of v, unless an embedded struct lies between; nil is none.
func (r *run) decode(n *yaml.Node, v reflect.Value, lenient reflect.Type) {
	r.depth++
	defer func() { r.depth-- }()
	if !r.spend(n, 0) {
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if v.Kind() == reflect.Pointer {
		if isNull(n) {
			v.SetZero()
			return
		}
		if !r.spend(n, r.info(v.Type().Elem()).size) {
			return
		}
		p := reflect.New(v.Type().Elem())
		r.decode(n, p.Elem(), lenient)
		v.Set(p)
		return
	}
	ti := r.info(v.Type())
	if ti.custom {
		r.custom(n, v)
		return
	}
	if isNull(n) {
		return
	}
	lenient = r.concrete(lenient)
	switch v.Kind() {
	case reflect.Struct:
		r.structure(n, v, ti, lenient)
	case reflect.Map:
		r.mapping(n, v, lenient)
	case reflect.Slice:
		r.list(n, v, lenient)
	case reflect.Interface:
		if value := r.generic(n); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		r.scalar(n, v, lenient)
	}
}

// concrete follows pointers; types that decode themselves are nil.
func (r *run) concrete(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && r.info(t).custom {
		return nil
	}
	return t
}

// below is the lenient type of the value of a key.
func (r *run) below(lenient reflect.Type, key string) reflect.Type {
	if lenient == nil {
		return nil
	}
	switch lenient.Kind() {
	case reflect.Map:
		return lenient.Elem()
	case reflect.Struct:
		if f := r.info(lenient).field(key); f != nil {
			return f.outer
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 4 {
		return false
	}
	return resolve(n).kind == nullScalar
}

// pairs calls f for each key and value of a map. Keys that come from a merge
// (<<) count only where the map does not have them itself.
func (r *run) pairs(n *yaml.Node, f func(key, value *yaml.Node)) {
	merges := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			merges = true
			break
		}
	}
	if !merges {
		for i := 0; i+1 < len(n.Content) && !r.stopped; i += 2 {
			f(n.Content[i], n.Content[i+1])
		}
		return
	}
	seen := map[string]bool{}
	r.merged(n, seen, f)
}

func (r *run) merged(n *yaml.Node, seen map[string]bool, f func(key, value *yaml.Node)) {
	r.depth++
	defer func() { r.depth-- }()
	if !r.spend(n, 0) {
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			r.merged(c, seen, f)
		}
		return
	case yaml.MappingNode:
	default:
		r.expected(n, "a map to merge")
		return
	}
	// A map's own keys may repeat, so they are noted only afterwards.
	var own []string
	for i := 0; i+1 < len(n.Content) && !r.stopped; i += 2 {
		if key := n.Content[i]; !isMerge(key) {
			name := keyText(key)
			if !seen[name] {
				own = append(own, name)
				f(key, n.Content[i+1])
			}
		}
	}
	for _, name := range own {
		seen[name] = true
	}
	for i := 0; i+1 < len(n.Content) && !r.stopped; i += 2 {
		if isMerge(n.Content[i]) {
			r.merged(n.Content[i+1], seen, f)
		}
	}
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Tag == "!!merge"
}

// keyText is a key as text; numbers and booleans become strings.
func keyText(key *yaml.Node) string {
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	s := resolve(key)
	if s.kind == stringScalar {
		return s.s
	}
	if s.kind == nullScalar {
		return "null"
	}
	return s.text()
}

func (r *run) checkKey(key *yaml.Node) bool {
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Kind != yaml.ScalarNode || isNull(key) {
		r.expected(key, "a key that is a string")
		return false
	}
	return true
}

func (r *run) structure(n *yaml.Node, v reflect.Value, ti *typeInfo, lenient reflect.Type) {
	if n.Kind != yaml.MappingNode {
		r.expected(n, "a map")
		return
	}
	var seen map[*field]bool
	if r.strict {
		seen = map[*field]bool{}
	}
	r.pairs(n, func(key, value *yaml.Node) {
		if !r.checkKey(key) {
			return
		}
		name := keyText(key)
		f := ti.field(name)
		r.path = append(r.path, segment{key: name})
		switch {
		case f == nil:
			if r.strict {
				r.report(UnknownField, key, "there is no such field")
			}
		default:
			if r.strict {
				if seen[f] {
					r.report(DuplicateKey, key, "the key stands twice; the last one counts")
				}
				seen[f] = true
			}
			target := v.FieldByIndex(f.index)
			target.SetZero()
			inner := f.outer
			if lenient != v.Type() {
				inner = r.below(lenient, name)
			}
			r.decode(value, target, inner)
		}
		r.path = r.path[:len(r.path)-1]
	})
	if ti.positioned {
		v.Addr().Interface().(Positioned).SetPosition(n.Line, n.Column)
	}
}

func (r *run) mapping(n *yaml.Node, v reflect.Value, lenient reflect.Type) {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		r.viaJSON(n, v)
		return
	}
	if n.Kind != yaml.MappingNode {
		r.expected(n, "a map")
		return
	}
	perEntry := int64(t.Elem().Size()) + 64
	v.Set(reflect.MakeMapWithSize(t, len(n.Content)/2))
	r.pairs(n, func(key, value *yaml.Node) {
		if !r.checkKey(key) || !r.spend(key, perEntry) {
			return
		}
		name := keyText(key)
		r.path = append(r.path, segment{key: name})
		k := reflect.ValueOf(name).Convert(t.Key())
		if r.strict && v.MapIndex(k).IsValid() {
			r.report(DuplicateKey, key, "the key stands twice; the last one counts")
		}
		elem := reflect.New(t.Elem()).Elem()
		r.decode(value, elem, r.below(lenient, name))
		v.SetMapIndex(k, elem)
		r.path = r.path[:len(r.path)-1]
	})
}

func (r *run) list(n *yaml.Node, v reflect.Value, lenient reflect.Type) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		r.viaJSON(n, v)
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.expected(n, "a list")
		return
	}
	if !r.spend(n, r.info(v.Type().Elem()).size*int64(len(n.Content))) {
		return
	}
	var inner reflect.Type
	if lenient != nil && lenient.Kind() == reflect.Slice {
		inner = lenient.Elem()
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		r.path = append(r.path, segment{index: i})
		r.decode(item, out.Index(i), inner)
		r.path = r.path[:len(r.path)-1]
		if r.stopped {
			break
		}
	}
	v.Set(out)
}

func (r *run) scalar(n *yaml.Node, v reflect.Value, lenient reflect.Type) {
	want := wanted(v.Kind())
	if n.Kind != yaml.ScalarNode {
		r.expected(n, want)
		return
	}
	s := resolve(n)
	switch v.Kind() {
	case reflect.String:
		if r.quoted && s.kind != stringScalar && !s.letter() && (lenient == nil || lenient.Kind() != reflect.String) {
			r.expected(n, "a string; put it in quotes")
			return
		}
		v.SetString(s.text())
		return
	case reflect.Bool:
		if s.kind == boolScalar {
			v.SetBool(s.b)
			return
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, ok := s.integer(); ok && !v.OverflowInt(i) {
			v.SetInt(i)
			return
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if i, ok := s.integer(); ok && i >= 0 && !v.OverflowUint(uint64(i)) {
			v.SetUint(uint64(i))
			return
		}
		if s.kind == uintScalar && !v.OverflowUint(s.u) {
			v.SetUint(s.u)
			return
		}
	case reflect.Float32, reflect.Float64:
		switch s.kind {
		case intScalar:
			v.SetFloat(float64(s.i))
			return
		case uintScalar:
			v.SetFloat(float64(s.u))
			return
		case floatScalar:
			if !math.IsNaN(s.f) && !math.IsInf(s.f, 0) {
				v.SetFloat(s.f)
				return
			}
		}
	}
	r.expected(n, want)
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	}
	return "an integer"
}

// custom decodes types that read JSON themselves.
func (r *run) custom(n *yaml.Node, v reflect.Value) {
	raw, ok := r.toJSON(n)
	if !ok {
		return
	}
	if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw); err != nil {
		if want := expectations[v.Type().String()]; want != "" {
			r.expected(n, want)
			return
		}
		r.report(Type, n, "found %s: %v", describe(n), err)
	}
}

// expectations tell better than the errors of common types what they take.
var expectations = map[string]string{
	"v1.Duration":        `a duration such as "90s" or "1h30m"`,
	"resource.Quantity":  `a quantity such as "500m" or "2Gi"`,
	"time.Time":          `a time such as "2006-01-02T15:04:05Z"`,
	"v1.Time":            `a time such as "2006-01-02T15:04:05Z"`,
	"intstr.IntOrString": "an integer or a string",
}

// viaJSON decodes the few types that are not worth code of their own.
func (r *run) viaJSON(n *yaml.Node, v reflect.Value) {
	raw, ok := r.toJSON(n)
	if !ok {
		return
	}
	if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
		r.report(Type, n, "found %s: %v", describe(n), err)
	}
}

func (r *run) toJSON(n *yaml.Node) ([]byte, bool) {
	raw, err := json.Marshal(r.generic(n))
	if err != nil {
		r.report(Type, n, "not representable as JSON: %v", err)
		return nil, false
	}
	return raw, !r.stopped
}

// generic converts a value to what encoding/json would hold in an any.
func (r *run) generic(n *yaml.Node) any {
	r.depth++
	defer func() { r.depth-- }()
	if !r.spend(n, 32) {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		r.pairs(n, func(key, value *yaml.Node) {
			if r.checkKey(key) && r.spend(key, 64) {
				out[keyText(key)] = r.generic(value)
			}
		})
		return out
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			out = append(out, r.generic(item))
		}
		return out
	}
	return resolve(n).value()
}
