package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// change is what the story changes: files with a mistake, then without.
type change struct {
	broken, mended map[string]string
	// job is the presubmit that finds the mistake, postsubmit one that runs on
	// what was merged; "" is none.
	job, postsubmit string
}

// newChange picks a change for a checkout. In this project it adds a test, which
// the presubmit "unit" of its .prow.yaml runs; in any other repository it brings
// a job of its own.
func newChange(checkout string) change {
	// The time makes the change a new one each time the story is played.
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if isFile(checkout, ".prow.yaml") && isFile(checkout, "internal/secret/secret.go") {
		test := func(body string) map[string]string {
			return map[string]string{"internal/secret/demo_test.go": fmt.Sprintf("package secret\n\nimport \"testing\"\n\n// TestDemo was written by the demonstration at %s.\nfunc TestDemo(t *testing.T) {\n\t%s\n}\n", now, body)}
		}
		return change{
			broken: test(fmt.Sprintf("t.Fatal(%q)", mistake)), mended: test(`t.Log("all is well")`),
			job: "unit", postsubmit: "announce",
		}
	}
	script := func(body string) map[string]string {
		return map[string]string{"demo/check.sh": fmt.Sprintf("# Written by the demonstration at %s.\n%s\n", now, body)}
	}
	c := change{broken: script("echo " + mistake + "; exit 1"), mended: script("echo all is well"), job: "demo"}
	switch {
	case isDir(checkout, ".prow"):
		c.broken[".prow/demo.yaml"] = jobs
	case isFile(checkout, ".prow.yaml"):
		// A file of somebody else's is not rewritten: a directory wins over it.
		c.broken[".prow/demo.yaml"] = jobs
	default:
		c.broken[".prow.yaml"] = jobs
	}
	c.postsubmit = "demo-merged"
	return c
}

// jobs are what the story brings to a repository without this project's own.
const jobs = `presubmits:
- name: demo
  always_run: true
  decorate: true
  spec:
    containers:
    - image: localhost/none
      command: [sh, demo/check.sh]
postsubmits:
- name: demo-merged
  decorate: true
  spec:
    containers:
    - image: localhost/none
      command: [git, log, "-1"]
`

func isFile(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}

func isDir(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.IsDir()
}
