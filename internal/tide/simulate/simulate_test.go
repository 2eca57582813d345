package simulate

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/tide/history"
	"prow/internal/tide/sim"
)

func TestMistakesAreNamedWithFileLineAndField(t *testing.T) {
	for name, tc := range map[string]struct{ yaml, want string }{
		"unknown field":    {"name: x\narrivals:\n  perhour: 3\n", "x.yaml:3: arrivals.perhour: there is no such field: expected one of per_hour,"},
		"twice":            {"name: x\nhours: 1\nhours: 2\n", "x.yaml:3: hours: it is there twice, first in line 2"},
		"no share":         {"name: x\npulls:\n  broken: 130%\n", `x.yaml:3: pulls.broken: "130%" is no share`},
		"no spread":        {"name: x\nci:\n  contexts:\n  - name: a\n    takes: normal 3\n", `x.yaml:5: ci.contexts[0].takes: "normal 3" is no spread`},
		"no number":        {"name: x\narrivals: {per_hour: many}\n", `x.yaml:2: arrivals.per_hour: "many": expected a number`},
		"no whole number":  {"name: x\nci: {capacity: 1.5}\n", `x.yaml:2: ci.capacity: "1.5": expected a whole number`},
		"no truth":         {"name: x\ntide: {new_batches: maybe}\n", `x.yaml:2: tide.new_batches: "maybe": expected true or false`},
		"no list":          {"name: x\nci:\n  contexts: a\n", "x.yaml:3: ci.contexts: expected a list"},
		"no fields":        {"name: x\nci: 3\n", "x.yaml:2: ci: expected fields: capacity,"},
		"no single value":  {"name: [x]\n", "x.yaml:1: name: expected a single value"},
		"nobody comes":     {"name: x\nhours: 3\n", "x.yaml:1: arrivals: nobody comes"},
		"negative":         {"name: x\narrivals: {per_hour: 3}\nci:\n  capacity: -1\n", "x.yaml:4: ci.capacity: -1: expected a number from 0"},
		"same name":        {"name: x\narrivals: {per_hour: 3}\nci:\n  contexts:\n  - {name: a, takes: 1m}\n  - {name: a, takes: 1m}\n", `x.yaml:6: ci.contexts[1].name: "a": expected a name of its own`},
		"takes nothing":    {"name: x\narrivals: {per_hour: 3}\nci:\n  contexts:\n  - name: a\n", "x.yaml:5: ci.contexts[0].takes: expected how long it takes"},
		"first is not all": {"name: x\narrivals: {per_hour: 3}\nci:\n  contexts:\n  - {name: a, takes: 1m, of: 50%}\n", "ci.contexts[0].of: the first context is required of all"},
		"empty":            {"", "x.yaml: it is empty"},
		"no YAML":          {"a: [", "x.yaml: yaml:"},
		"internal field":   {"name: x\ncompatible: true\n", "x.yaml:2: compatible: there is no such field"},
		"no recording":     {"name: x\narrivals: {recorded: gone.jsonl}\n", "x.yaml: arrivals.recorded:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("x.yaml", []byte(tc.yaml), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := loadFile("x.yaml"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, expected %s", err, tc.want)
			}
		})
	}
}

func TestBuiltinScenarios(t *testing.T) {
	all, err := builtin(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 12 {
		t.Errorf("there are %d", len(all))
	}
	for _, sc := range all {
		if sc.About == "" {
			t.Errorf("%s says nothing about itself", sc.Name)
		}
	}
	if _, err := builtin([]string{"nonesuch"}); err == nil || !strings.Contains(err.Error(), "expected one of") {
		t.Errorf("got %v", err)
	}
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := Command()
	cmd.SetArgs(append([]string{}, args...)) // nil would be those of the test
	cmd.SetOut(&out)
	err := cmd.Execute()
	return out.String(), err
}

func TestTheTableIsAligned(t *testing.T) {
	out, err := run(t, "--builtin", "quiet-repository", "--hours", "12", "--seeds", "2", "--planner", "classic")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	if len(lines) != 2 || len(lines[0]) != len(lines[1]) || !strings.HasPrefix(lines[1], "quiet repository  classic") {
		t.Errorf("got\n%s", out)
	}
	again, _ := run(t, "--builtin", "quiet-repository", "--hours", "12", "--seeds", "2", "--planner", "classic")
	if again != out {
		t.Errorf("it gives\n%s\nand then\n%s", out, again)
	}
	out, err = run(t, "--builtin", "quiet-repository", "--hours", "12", "--planner", "classic", "--output", "json")
	var rows []sim.Row
	if err != nil || json.Unmarshal([]byte(out), &rows) != nil || len(rows) != 1 || rows[0].Report.Merged == 0 {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestBadCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"expected files of scenarios, or --builtin":          nil,
		"--planner=best: expected some of classic":           {"--builtin", "--planner", "best"},
		"--seeds=0: expected at least 1":                     {"--builtin", "--seeds", "0"},
		"--output=xml: expected table, markdown or json":     {"--builtin", "--output", "xml"},
		"open gone.yaml: no such file or directory":          {"gone.yaml"},
		"open gone.json: no such file or directory":          {"--from-history", "gone.json"},
		`"nonesuch" is no builtin scenario: expected one of`: {"--builtin", "nonesuch"},
	} {
		if _, err := run(t, args...); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "stat ", "open "), want) {
			t.Errorf("%v gives %v, expected %s", args, err, want)
		}
	}
}

func TestAHistoryIsPlayedAgain(t *testing.T) {
	at := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	pull := func(n int, sha string) prowv1.Pull { return prowv1.Pull{Number: n, SHA: sha} }
	records := []history.Record{
		{Time: at, Action: "TRIGGER", Target: []prowv1.Pull{pull(3, "a")}},
		{Time: at.Add(time.Hour), Action: "TRIGGER_BATCH", Target: []prowv1.Pull{pull(3, "a"), pull(4, "a"), pull(5, "a")}},
		{Time: at.Add(2 * time.Hour), Action: "MERGE_BATCH", Target: []prowv1.Pull{pull(3, "a"), pull(4, "a"), pull(5, "a")}, Err: "failed to merge #4: no (batch [3 4 5], merged [3 5])"},
		{Time: at.Add(3 * time.Hour), Action: "TRIGGER", Target: []prowv1.Pull{pull(4, "b")}},
		{Time: at.Add(4 * time.Hour), Action: "MERGE", Target: []prowv1.Pull{pull(4, "b")}, Err: "failed to merge #4: no"},
		{Time: at.Add(40 * time.Hour), Action: "MERGE", Target: []prowv1.Pull{pull(6, "a")}},
		{Time: at.Add(41 * time.Hour), Action: "TRIGGER", Target: []prowv1.Pull{pull(7, "a")}},
	}
	slices.Reverse(records) // newest first, as it is stored
	content, err := json.Marshal(map[string][]history.Record{"o/r:main": records, "o/other:main": nil})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "history.json")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "--from-history", file); err == nil || !strings.Contains(err.Error(), "give --pool one of o/other:main, o/r:main") {
		t.Errorf("without a pool: %v", err)
	}
	out, err := run(t, "--from-history", file, "--pool", "o/r:main")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-05-04T08:00:00Z","number":3,"outcome":"merged","merged":"2026-05-04T10:00:00Z","heads":1}
{"time":"2026-05-04T09:00:00Z","number":4,"outcome":"abandoned","heads":2}
{"time":"2026-05-04T09:00:00Z","number":5,"outcome":"merged","merged":"2026-05-04T10:00:00Z","heads":1}
{"time":"2026-05-06T00:00:00Z","number":6,"outcome":"merged","merged":"2026-05-06T00:00:00Z","heads":1}
{"time":"2026-05-06T01:00:00Z","number":7,"outcome":"open","heads":1}
`
	if out != want {
		t.Fatalf("got\n%sexpected\n%s", out, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "ours.jsonl"), []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	scenario := filepath.Join(dir, "ours.yaml")
	if err := os.WriteFile(scenario, []byte("arrivals: {recorded: ours.jsonl}\nci: {capacity: 5}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sc, err := loadFile(scenario)
	if err != nil {
		t.Fatal(err)
	}
	if sc.Name != "ours" || len(sc.Arrivals.List) != 5 || !sc.Arrivals.List[1].Broken || sc.Arrivals.List[3].At != 40*time.Hour {
		t.Errorf("got %+v", sc)
	}
	if out, err := run(t, scenario, "--planner", "classic"); err != nil || !strings.Contains(out, "ours") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestBadRecordings(t *testing.T) {
	for line, want := range map[string]string{
		`{"time":"2026-05-04T08:00:00Z","outcome":"merged","a":1}`: `unknown field "a"`,
		`{"time":"2026-05-04T08:00:00Z","outcome":"lost"}`:         `outcome: "lost": expected merged, open or abandoned`,
		`{"outcome":"merged"}`:                                     "time: expected one",
		`{"time":"2026-05-04T08:00:00Z","outcome":"merged"} {}`:    "expected one object a line",
		``: "there are no arrivals",
	} {
		if _, err := arrivals("x.jsonl", []byte("\n"+line+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, expected %s", line, err, want)
		}
	}
}

func TestTheDocumentationIsCurrent(t *testing.T) {
	content, err := os.ReadFile("../../../docs/tide-simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(content), tableBegins)
	table, _, ok := strings.Cut(rest, tableEnds)
	if !ok {
		t.Fatalf("there are no figures after\n%s", before)
	}
	var now strings.Builder
	if err := document(&now, table); err != nil {
		t.Fatal(err)
	}
	if now.String() != string(content) {
		t.Error("docs/tide-simulation.md is not what make simulate would write, beside the figures: run it")
	}
	all, err := builtin(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range all {
		for _, planner := range docPlanners {
			if !strings.Contains(table, "| "+sc.Name+" | "+planner+" |") {
				t.Errorf("the figures lack %s with %s: run make simulate", sc.Name, planner)
			}
		}
	}
}
