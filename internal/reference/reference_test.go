package reference

import (
	"os"
	"path/filepath"
	"testing"

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
