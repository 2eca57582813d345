package config

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// hostileCase is what a stranger might push.
type hostileCase struct {
	files func() map[string]string
	// err is part of the error; empty if the content is refused later, or not at all.
	err string
}

// laughs is a list whose aliases stand for 9^10 values.
func laughs() string {
	var lol strings.Builder
	lol.WriteString("prow_ignored:\n- &a [x, x, x, x, x, x, x, x, x]\n")
	for c := byte('b'); c < 'l'; c++ {
		lol.WriteString("- &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 9) + "]\n")
	}
	return lol.String()
}

// numbered repeats a text with its number in place of #.
func numbered(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", strconv.Itoa(i)))
	}
	return b.String()
}

func oneFile(content func() string) func() map[string]string {
	return func() map[string]string { return map[string]string{".prow.yaml": content()} }
}

var hostileCases = map[string]hostileCase{
	"a billion laughs":    {oneFile(laughs), "more than"},
	"a loop of aliases":   {oneFile(func() string { return "prow_ignored: &a [*a]\n" }), "nested deeper"},
	"a merge with itself": {oneFile(func() string { return "presets:\n- &a\n  <<: *a\n" }), ""},
	"ten megabytes":       {oneFile(func() string { return strings.Repeat("a", 10<<20) }), "more than 524288 bytes"},
	"deep nesting":        {oneFile(func() string { return "prow_ignored: " + strings.Repeat("[", 100_000) }), ".prow.yaml"},
	"deep maps":           {oneFile(func() string { return "prow_ignored: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000) }), "nested deeper"},
	"many small values":   {oneFile(func() string { return "prow_ignored: [" + strings.Repeat("a,", 250_000) + "]" }), "values"},
	"as many as allowed":  {oneFile(func() string { return "prow_ignored: [" + strings.Repeat("a,", 140_000) + "]" }), ""},
	"many empty jobs":     {oneFile(func() string { return "presubmits: [" + strings.Repeat("{},", 70_000) + "]" }), ""},
	"100000 jobs":         {oneFile(func() string { return "presubmits: [" + strings.Repeat("{},", 100_000) + "]" }), "expected at most"},
	"100000 jobs in many files": {func() map[string]string {
		out := map[string]string{}
		for i := range 50 {
			out[fmt.Sprintf(".prow/%d.yaml", i)] = "presubmits: [" + numbered(2000, "{name: j#},") + "]"
		}
		return out
	}, "more than"},
	"many large files": {func() map[string]string {
		out := map[string]string{}
		for i := range 12 {
			out[fmt.Sprintf(".prow/%d.yaml", i)] = "#" + strings.Repeat("x", 500<<10) + "\n"
		}
		return out
	}, "in all files together"},
	"many files full of values": {func() map[string]string {
		out := map[string]string{}
		for i := range 8 {
			out[fmt.Sprintf(".prow/%d.yaml", i)] = "prow_ignored: [" + strings.Repeat("a,", 140_000) + "]"
		}
		return out
	}, "values"},
	"deep directories": {func() map[string]string {
		return map[string]string{".prow/" + strings.Repeat("d/", 100) + "x.yaml": "a"}
	}, "deeper than"},
	"jobs behind aliases": {oneFile(func() string {
		return "prow_ignored: &l [" + strings.Repeat("{name: a},", 5000) + "]\npresubmits: *l\npostsubmits: *l\n"
	}), ""},
	"expressions that repeat": {oneFile(func() string {
		return "presubmits:\n" + numbered(2000, "- {name: j#, run_if_changed: 'x{1000}#', spec: {containers: [{image: i}]}}\n")
	}), "instructions together"},
	"an expression that repeats itself": {oneFile(func() string {
		return "presubmits: [{name: j, run_if_changed: '" + strings.Repeat("(x{1000})", 1800) + "', spec: {containers: [{image: i}]}}]"
	}), "instructions together"},
	"a long expression": {oneFile(func() string {
		return "presubmits: [{name: j, branches: ['" + strings.Repeat("a?", 100_000) + "'], spec: {containers: [{image: i}]}}]"
	}), "expected at most 16384"},
	"presets for all jobs": {oneFile(func() string {
		return "presets: [{env: [" + numbered(2000, "{name: E#},") + "]}]\npresubmits:\n" + numbered(3000, "- {name: j#, spec: {containers: [{image: i}]}}\n")
	}), "too much memory"},
	"presets that clash": {oneFile(func() string {
		return "presets: [{env: [" + strings.Repeat("{name: E},", 10_000) + "]}]\npresubmits:\n" + numbered(3000, "- {name: j#, spec: {containers: [{image: i}]}}\n")
	}), "already there"},
	"decoration of all jobs": {oneFile(func() string {
		return "presubmits:\n" + numbered(4500, "- {name: j#, decorate: true, decoration_config: {}, spec: {containers: [{args: [x]}]}}\n")
	}), "too much memory"},
	"one name for all jobs": {oneFile(func() string {
		return "presubmits:\n" + numbered(4000, "- {name: j, context: 'c#', branches: ['b#'], spec: {containers: [{image: i}]}}\n")
	}), "more than 50 jobs have this name"},
	"one context for all jobs": {oneFile(func() string {
		return "postsubmits:\n" + numbered(4000, "- {name: j#, context: c, branches: ['b#'], spec: {containers: [{image: i}]}}\n")
	}), "more than 50 jobs report under this context"},
	"very many variables": {oneFile(func() string {
		return "presubmits: [{name: j, spec: {containers: [{env: [" + numbered(30_000, "{name: E#},") + "{name: CI}], volumeMounts: [{name: v}]}]}}]"
	}), "found CI"},
	"very many tolerations": {oneFile(func() string {
		return "presets: [{tolerations: [" + numbered(25_000, "{key: t#},") + "{key: t1}]}]\n" + own("a")
	}), "the toleration t1"},
	"very many branches": {oneFile(func() string {
		return "presubmits: [{name: j, branches: [" + numbered(2000, "b#,") + "], spec: {containers: [{image: i}]}}]"
	}), "found 2000 branches"},
	"many tasks of a pipeline": {oneFile(func() string {
		return "presubmits: [{name: j, agent: tekton-pipeline, pipeline_run_spec: {pipelineSpec: {tasks: [" + strings.Repeat("{taskRef: {name: PROW_EXTRA_GIT_REF_7}},", 10_000) + "]}}}]"
	}), "there are 0 extra_refs"},
}

func hostileFS(files map[string]string) fs.FS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

// hostileConfig decorates, as most installations do.
func hostileConfig(t *testing.T) *Config {
	return main(t, "plank: {default_decoration_config_entries: [{config: {"+images+"}}]}")
}

func TestHostileInRepoContent(t *testing.T) {
	c := hostileConfig(t)
	for name, tc := range hostileCases {
		t.Run(name, func(t *testing.T) {
			raw, err := ReadInRepo(hostileFS(tc.files()))
			if err == nil {
				if n := len(raw.bases()); n > maxInRepoJobs {
					t.Errorf("found %d jobs", n)
				}
				_, err = c.ResolveInRepo("org/repo", raw)
			}
			if tc.err != "" {
				wantError(t, err, tc.err)
			}
			if err != nil && len(err.Error()) > 200_000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// hostileChild makes a child process of one case.
const hostileChild = "PROW_TEST_HOSTILE_CASE"

// TestHostileInRepoContentTakesLittleMemory measures the memory that a process
// of its own has taken at most, beyond what it had before: reading and
// resolving, with the content itself, takes less than 64 MiB.
func TestHostileInRepoContentTakesLittleMemory(t *testing.T) {
	if name := os.Getenv(hostileChild); name != "" {
		before := peak(t)
		raw, err := ReadInRepo(hostileFS(hostileCases[name].files()))
		if err == nil {
			// What it takes is asked, not what comes out.
			_, _ = hostileConfig(t).ResolveInRepo("org/repo", raw)
		}
		fmt.Printf("grew by %d KiB\n", peak(t)-before)
		return
	}
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	for name := range hostileCases {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileInRepoContentTakesLittleMemory$")
			cmd.Env = append(os.Environ(), hostileChild+"="+name, "GOMEMLIMIT=off", "GOGC=100")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var grown int
			if _, err := fmt.Sscanf(string(out), "grew by %d KiB", &grown); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%d MiB", grown>>10)
			if grown > 64<<10 {
				t.Errorf("took %d MiB", grown>>10)
			}
		})
	}
}

// peak is the most memory, in KiB, this process had so far.
func peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("this system does not tell the memory of a process: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Skip("this system does not tell the memory of a process")
	return 0
}

// TestHostileMainFile: an alias bomb is refused wherever it stands.
func TestHostileMainFile(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"the main file": {"config.yaml": laughs()},
		"a job file":    {"jobs/a.yaml": laughs()},
		"a shard":       {"shards/a_prowconfig.yaml": laughs() + "tide: {merge_method: {org: *k}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadTree(t, files)
			wantError(t, err, "more than")
		})
	}
}
