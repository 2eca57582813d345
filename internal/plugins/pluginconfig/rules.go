package pluginconfig

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// reporter records something about a field.
type reporter func(field, format string, args ...any)

// rules is what the sections need to resolve and check themselves.
type rules struct {
	report reporter // a rule is broken
	warn   reporter // something deprecated, or without effect, is used
}

// regexp compiles an expression; nil if it is not one.
func (r *rules) regexp(field, expr string) *regexp.Regexp {
	re, err := regexp.Compile(expr)
	if err != nil {
		r.report(field, "found %q, expected a regular expression: %v", expr, err)
	}
	return re
}

// warnRegexp warns of an expression that its plugin leaves out.
func (r *rules) warnRegexp(field, expr string) {
	if _, err := regexp.Compile(expr); err != nil {
		r.warn(field, "found %q, which is not a regular expression and never matches: %v", expr, err)
	}
}

func setDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// element is the path of an element of a list.
func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
