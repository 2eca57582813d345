package all

import (
	"os"
	"strings"
	"testing"
)

func TestEveryPackageOfAnExternalPluginIsListed(t *testing.T) {
	programs := map[string]bool{}
	for _, p := range Programs() {
		programs[strings.ReplaceAll(p.Command.Name(), "-", "")] = true
		if p.Plugin.Name == "" || p.Plugin.Description == "" || len(p.Plugin.Events()) == 0 || p.Command.Short == "" {
			t.Errorf("%s does not describe itself", p.Command.Name())
		}
		for _, c := range p.Plugin.Commands {
			if c.Match == nil || c.Description == "" || c.Who.Sentence == "" || len(c.Examples) == 0 {
				t.Errorf("%s: command %s is not described", p.Command.Name(), c.Usage)
			}
			for _, example := range c.Examples {
				if !c.Match.MatchString(example) {
					t.Errorf("%s: the example %q of %s is no such command", p.Command.Name(), example, c.Usage)
				}
			}
		}
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "all" && !programs[e.Name()] {
			t.Errorf("%s is not listed", e.Name())
		}
	}
}
