package plugins

import "testing"

func TestClosesIssue(t *testing.T) {
	for text, want := range map[string]bool{
		"fixes #1": true, "Fixed: #12": true, "close #1": true, "x\nCLOSES o/r#3": true, "resolved my-org/my.repo-x#4": true, "fix  #5": true, "fix:\n#5": true,
		"#12": false, "see #12": false, "fixing k/k#9": false, "prefix #1": false, "fixes 1": false, "closely #1": false, "fixes#1": false, "resolving #1": false, "": false,
	} {
		if got := ClosesIssue(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
