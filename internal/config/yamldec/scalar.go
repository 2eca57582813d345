package yamldec

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// scalarKind is what a scalar is by the rules of YAML 1.1.
type scalarKind uint8

const (
	nullScalar scalarKind = iota
	boolScalar
	intScalar
	uintScalar // an integer above the range of int64
	floatScalar
	stringScalar
)

func (k scalarKind) String() string {
	return [...]string{"null", "boolean", "integer", "integer", "number", "string"}[k]
}

// scalar is a resolved scalar.
type scalar struct {
	kind scalarKind
	b    bool
	i    int64
	u    uint64
	f    float64
	s    string // the text as written
}

// resolve finds out what a scalar node is. Quoted and block scalars are
// strings, whatever they hold.
func resolve(n *yaml.Node) scalar {
	if n.Style&yaml.TaggedStyle != 0 {
		switch n.Tag {
		case "!!str", "!!binary":
			return scalar{kind: stringScalar, s: n.Value}
		case "!!float":
			s := resolvePlain(n.Value)
			if s.kind == intScalar {
				return scalar{kind: floatScalar, f: float64(s.i), s: n.Value}
			}
			return s
		case "!!null", "!!bool", "!!int", "!!timestamp":
			return resolvePlain(n.Value)
		}
		// Tags of others do not make a value something else than text.
		return scalar{kind: stringScalar, s: n.Value}
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return scalar{kind: stringScalar, s: n.Value}
	}
	return resolvePlain(n.Value)
}

func resolvePlain(in string) scalar {
	if in == "" {
		return scalar{kind: nullScalar}
	}
	out := scalar{kind: stringScalar, s: in}
	switch c := in[0]; {
	case c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.':
		if number, ok := resolveNumber(in); ok {
			return number
		}
		return out
	case len(in) > 5 || !strings.ContainsRune("~yYnNtTfFoO", rune(c)):
		return out
	}
	switch in {
	case "~", "null", "Null", "NULL":
		out.kind = nullScalar
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		out.kind, out.b = boolScalar, true
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		out.kind = boolScalar
	}
	return out
}

func resolveNumber(in string) (scalar, bool) {
	switch in {
	case ".nan", ".NaN", ".NAN":
		return scalar{kind: floatScalar, f: math.NaN(), s: in}, true
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return scalar{kind: floatScalar, f: math.Inf(1), s: in}, true
	case "-.inf", "-.Inf", "-.INF":
		return scalar{kind: floatScalar, f: math.Inf(-1), s: in}, true
	}
	// Most values that start with a digit are times, sizes and image tags;
	// leave early.
	if strings.Trim(in, "0123456789") != "" && strings.ContainsFunc(in, notInNumber) {
		return scalar{}, false
	}
	plain := in
	if strings.IndexByte(in, '_') >= 0 {
		plain = strings.ReplaceAll(in, "_", "")
	}
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return scalar{kind: intScalar, i: i, s: in}, true
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return scalar{kind: uintScalar, u: u, s: in}, true
	}
	if isDecimal(plain) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return scalar{kind: floatScalar, f: f, s: in}, true
		}
	}
	return scalar{}, false
}

func notInNumber(r rune) bool {
	return !strings.ContainsRune("0123456789+-._xXoObBeEabcdefABCDEF", r)
}

// isDecimal tells whether s is a decimal number with optional fraction and exponent.
func isDecimal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	mantissa, exponent, hasExponent := s, "", false
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent, hasExponent = s[:i], s[i+1:], true
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" && fraction == "" || !digits(whole) || !digits(fraction) {
		return false
	}
	if !hasExponent {
		return true
	}
	exponent = strings.TrimPrefix(strings.TrimPrefix(exponent, "+"), "-")
	return exponent != "" && digits(exponent)
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// text is the scalar as a string, where a string is wanted.
func (s scalar) text() string {
	switch s.kind {
	case nullScalar:
		return ""
	case boolScalar:
		if s.letter() {
			return s.s
		}
		return strconv.FormatBool(s.b)
	case intScalar:
		return strconv.FormatInt(s.i, 10)
	case uintScalar:
		return strconv.FormatUint(s.u, 10)
	case floatScalar:
		return strconv.FormatFloat(s.f, 'g', -1, 64)
	}
	return s.s
}

// letter tells whether the scalar is a boolean of one letter, y or n, which is
// hardly ever meant as one.
func (s scalar) letter() bool { return s.kind == boolScalar && len(s.s) == 1 }

// integer is the scalar as an integer, if it is one; 500e+6 is.
func (s scalar) integer() (int64, bool) {
	switch s.kind {
	case intScalar:
		return s.i, true
	case floatScalar:
		if s.f == math.Trunc(s.f) && math.Abs(s.f) < 1<<63 {
			return int64(s.f), true
		}
	}
	return 0, false
}

// value is the scalar as encoding/json would hold it in an any.
func (s scalar) value() any {
	switch s.kind {
	case nullScalar:
		return nil
	case boolScalar:
		if s.letter() {
			return s.s
		}
		return s.b
	case intScalar:
		return s.i
	case uintScalar:
		return s.u
	case floatScalar:
		if math.IsNaN(s.f) || math.IsInf(s.f, 0) {
			return s.s
		}
		return s.f
	}
	return s.s
}

// describe tells a person what stands there.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	s := resolve(n)
	if s.kind == nullScalar {
		return "null"
	}
	text := n.Value
	if len(text) > 60 {
		text = text[:57] + "..."
	}
	return fmt.Sprintf("the %s %q", s.kind, text)
}
