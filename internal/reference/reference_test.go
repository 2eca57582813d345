package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/internal/config"
	"prow/internal/config/yamldec"
	"prow/internal/plugins/pluginconfig"
)

const root = "../.."

func files(t *testing.T) map[string][]byte {
	t.Helper()
	empty, err := Empty(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := Files(root, empty)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheRepositoryHoldsTheCurrentReference(t *testing.T) {
	for name, want := range files(t) {
		have, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(have)); diff != "" {
			t.Errorf("%s is not what the types say; run `make generate` (-want +have):\n%s", name, diff)
		}
	}
}

func TestTheSamplesKnowNoKeyThatTheDecoderDoesNot(t *testing.T) {
	all := files(t)
	for name, into := range map[string]any{
		"docs/reference/config.yaml":  &config.Config{},
		"docs/reference/plugins.yaml": &pluginconfig.Configuration{},
	} {
		var decoder yamldec.Decoder
		for _, p := range decoder.Decode(all[name], into, yamldec.Options{Strict: true}) {
			t.Errorf("%s:%d: %s: %s", name, p.Line, p.Field, p.Message)
		}
	}
}

func TestEveryKeyIsExplained(t *testing.T) {
	source := NewSource(root)
	for _, root := range roots {
		m, err := New(root, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range m.Types {
			for _, f := range typ.Fields {
				if f.Doc == "" {
					t.Errorf("%s: the key %s of %s has no comment", root, f.Key, typ.Name)
				}
			}
		}
	}
}

// What an empty file means is what the comments promise.
func TestDefaultsAreAsDocumented(t *testing.T) {
	empty, err := Empty(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values, err := plain(empty)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(roots[0], NewSource(root))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	var check func(at *Type, values map[string]any, path string)
	check = func(at *Type, values map[string]any, path string) {
		for _, f := range at.Fields {
			value, ok := values[f.Key]
			if inner, isObject := value.(map[string]any); isObject && f.Object != nil && f.Shape == "" {
				check(f.Object, inner, path+f.Key+".")
				continue
			}
			if !ok || f.Shape != "" || value == false {
				continue
			}
			checked++
			promised := promise.FindStringSubmatch(f.Doc)
			if promised != nil {
				// The default may be the value of another key.
				if other, ok := values[strings.Trim(promised[1], "`")]; ok {
					promised[1] = fmt.Sprint(other)
				}
			}
			if promised == nil || !sameValue(promised[1], value) {
				t.Errorf("%s%s is %v by default, but its comment says: %s", path, f.Key, value, f.Doc)
			}
		}
	}
	check(m.Root(), values, "")
	if checked < 15 {
		t.Errorf("only %d defaults were checked", checked)
	}
}

var promise = regexp.MustCompile(`Default: (\S+?)[.;,]?(?:\s|$)`)

func sameValue(promised string, value any) bool {
	if a, err := time.ParseDuration(promised); err == nil {
		b, err := time.ParseDuration(fmt.Sprint(value))
		if err == nil {
			return a == b
		}
	}
	return strings.Trim(promised, "`\"") == scalar(value) || promised == fmt.Sprint(value)
}
