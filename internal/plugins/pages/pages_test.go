package pages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	external "prow/internal/externalplugins/all"
	"prow/internal/plugins/all"
)

const root = "../../.."

func TestTheRepositoryHoldsTheCurrentPages(t *testing.T) {
	list := Of(all.Plugins())
	for _, p := range external.Programs() {
		list = append(list, Page{p.Plugin, p.Command.Name()})
	}
	want := Files(list)
	for name, content := range want {
		have, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Errorf("run `make generate`: %v", err)
			continue
		}
		if diff := cmp.Diff(string(content), string(have)); diff != "" {
			t.Errorf("%s is not what the plugins say; run `make generate` (-want +have):\n%s", name, diff)
		}
	}
	entries, err := os.ReadDir(filepath.Join(root, Dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if want[Dir+"/"+e.Name()] == nil {
			t.Errorf("%s/%s is about no plugin", Dir, e.Name())
		}
	}
}
