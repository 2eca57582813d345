package pod

import (
	"bytes"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The kubelet expands $(NAME) in the values of variables, for each NAME that
// comes earlier in the container, and takes $$ for a single $. Texts that
// people outside write, such as the title of a pull request, must neither be
// changed by that nor reach into other variables.

// literal writes a text such that it comes out of the kubelet unchanged. Texts
// that the kubelet leaves alone anyhow stay as they are, so that pods look as
// they always have.
func literal(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		run := len(text[i:]) - len(strings.TrimLeft(text[i:], "$"))
		if run == 0 {
			b.WriteByte(text[i])
			i++
			continue
		}
		i += run
		// A $ before a byte beyond ASCII would have the kubelet break that character up.
		if harmless := i == len(text) || text[i] != '(' && text[i] < 0x80; run == 1 && harmless {
			b.WriteByte('$')
			continue
		}
		b.WriteString(strings.Repeat("$$", run))
	}
	return b.String()
}

// mapReferences replaces those references of a text, as the kubelet finds
// them, for which replace has something, and leaves everything else alone.
func mapReferences(text string, replace func(name string) (string, bool)) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i+1 == len(text) {
			return b.String() + text
		}
		b.WriteString(text[:i])
		text = text[i:]
		token := text[:2]
		if token == "$(" {
			if end := strings.IndexByte(text, ')'); end > 0 {
				token = text[:end+1]
			}
		}
		text = text[len(token):]
		if name, found := strings.CutPrefix(token, "$("); found && strings.HasSuffix(name, ")") {
			if replacement, ok := replace(strings.TrimSuffix(name, ")")); ok {
				token = replacement
			}
		}
		b.WriteString(token)
	}
}

// expandedInJSON prepares a JSON document for being expanded by the kubelet in
// a container with the given variables: jobs refer to variables in their
// commands, which are wrapped into such a document. A value that may not stand
// in a JSON string as it is, such as a title with quotes, is put in here,
// escaped: it would break the document, or add to it. All others are left to
// the kubelet.
func expandedInJSON(document string, vars []corev1.EnvVar, job map[string]string) (string, error) {
	var failed error
	out := mapReferences(document, func(name string) (string, bool) {
		value, known := job[name]
		if !known {
			value, known = lastLiteral(vars, name)
		}
		if !known {
			return "", false
		}
		quoted, err := inJSON(value)
		if err != nil {
			failed = err
		}
		if quoted == value {
			return "", false
		}
		return strings.ReplaceAll(quoted, "$", "$$"), true
	})
	return out, failed
}

// lastLiteral is the value of a variable, if it is known without the kubelet.
func lastLiteral(vars []corev1.EnvVar, name string) (string, bool) {
	for i := len(vars) - 1; i >= 0; i-- {
		if v := vars[i]; v.Name == name {
			return v.Value, v.ValueFrom == nil && !strings.Contains(v.Value, "$")
		}
	}
	return "", false
}

// inJSON is what stands between the quotes of a JSON string.
func inJSON(text string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return text, err
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1], nil
}

// withoutReferenceTo keeps the kubelet from expanding one variable in a text.
func withoutReferenceTo(variable, text string) string {
	return mapReferences(text, func(name string) (string, bool) { return "$$(" + name + ")", name == variable })
}
