package clone

import (
	"strings"
	"testing"

	v1 "prow/api/prowjobs/v1"
)

func TestFlagsTakeTheNamesOfTheRepositoryAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"https://x/{{.Org}}/{{.Repo}}": "https://x/o/r",
		"{{ .Repo }}-{{.Org }}":        "r-o",
		"plain":                        "plain",
		"{{.Token}}":                   "error",
		"{{.Org | printf}}":            "error",
		"{{.Org":                       "error",
		"}}":                           "error",
	} {
		var got string
		err := expand("--clone-alias", text, v1.Refs{Org: "o", Repo: "r"}, &got)
		if err != nil {
			if got = "error"; !strings.Contains(err.Error(), "--clone-alias") {
				t.Errorf("%q: the flag is not named: %v", text, err)
			}
		}
		if got != want {
			t.Errorf("%q becomes %q, expected %q", text, got, want)
		}
	}
}
