package junit

import (
	"fmt"
	"regexp"
	"strings"

	"prow/internal/junit"
)

// selector chooses tests by properties: each condition must hold for a property.
type selector []condition

type condition struct {
	name, value       string
	hasName, hasValue bool
}

var (
	selectorPart = regexp.MustCompile(`^\s*(?:(?:and\b|,)\s*)?properties/property\[([^\]]*)\]`)
	selectorAttr = regexp.MustCompile(`^\s*@(name|value)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*`)
)

// parseSelector reads "properties/property[@name='a' and @value='b']", of which there
// may be several after another, and in which either attribute may be left out.
func parseSelector(text string) (selector, error) {
	var out selector
	rest := text
	for strings.TrimSpace(rest) != "" {
		m := selectorPart.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("the selector %q is not properties/property[@name='...' and @value='...'], from %q on", text, strings.TrimSpace(rest))
		}
		c, err := parseCondition(m[1])
		if err != nil {
			return nil, fmt.Errorf("the selector %q: %w", text, err)
		}
		out = append(out, c)
		rest = rest[len(m[0]):]
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the selector is empty")
	}
	return out, nil
}

func parseCondition(text string) (condition, error) {
	var c condition
	rest := text
	for {
		m := selectorAttr.FindStringSubmatch(rest)
		if m == nil {
			return c, fmt.Errorf("%q is no @name='...' or @value='...'", rest)
		}
		value := m[2] + m[3] // one of them is empty
		switch {
		case m[1] == "name" && !c.hasName:
			c.name, c.hasName = value, true
		case m[1] == "value" && !c.hasValue:
			c.value, c.hasValue = value, true
		default:
			return c, fmt.Errorf("@%s stands there twice", m[1])
		}
		if rest = rest[len(m[0]):]; rest == "" {
			return c, nil
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, "and "); !ok {
			return c, fmt.Errorf("there is no and before %q", rest)
		}
	}
}

// matches tells whether a test is chosen, by the properties of its first run.
func (s selector) matches(t *junit.Test) bool {
	for _, c := range s {
		found := false
		for _, p := range t.Runs[0].Properties {
			if (!c.hasName || p.Name == c.name) && (!c.hasValue || p.Value == c.value) {
				found = true
			}
		}
		if !found {
			return false
		}
	}
	return true
}
