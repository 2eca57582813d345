package config

import (
	"os"
	"regexp"
	"regexp/syntax"
	"testing"

	"sigs.k8s.io/yaml"

	"prow/internal/config/yamldec"
)

// FuzzExpressions: what the budget lets pass is an expression, and does not
// become much larger than was estimated.
func FuzzExpressions(f *testing.F) {
	for _, s := range []string{"^pkg/", "release-.*|main", "(x{1000}){1000}", "(?i)[a-z]{2,}?", `\.md$`, "(", "x{1000}", "((a{10}){10}){10}", "[[:alpha:]]*", `\pL{1,50}`, "(?m)^/test( | .* )a,?($|\\s.*)"} {
		f.Add(s, "main")
	}
	f.Fuzz(func(t *testing.T, expr, branch string) {
		limit := newInRepoBudget()
		before := limit.instructions
		re, err := (&regexCache{budget: limit}).compile(expr)
		if err != nil {
			return
		}
		parsed, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatalf("%q was compiled: %v", expr, err)
		}
		prog, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if spent := before - limit.instructions; len(prog.Inst) > 4*spent+10 {
			t.Errorf("%q has %d instructions, %d were estimated", expr, len(prog.Inst), spent)
		}
		a := &Brancher{Branches: []string{expr}, re: re}
		for _, b := range []*Brancher{{}, {SkipBranches: []string{expr}, reSkip: re}, {Branches: []string{branch}, re: re}} {
			if a.Intersects(b) != b.Intersects(a) {
				t.Errorf("%q: %+v intersects only one way", expr, b)
			}
		}
		re.MatchString(branch)
	})
}

// singleLetter is what the detour over JSON takes for a boolean.
var singleLetter = regexp.MustCompile(`(^|\W)[yYnN](\W|$)`)

// FuzzJobFile compares the decoding of job files with the detour over JSON: the
// same is accepted, with the same value.
func FuzzJobFile(f *testing.F) {
	for _, s := range []string{
		presubmits("a"), "presets: [{labels: {a: true}, env: [{name: 1, value: yes}]}]",
		"periodics: [{name: a, interval: 1h, decoration_config: {timeout: 60000000000}, retry: {attempts: 1e1}}]",
		"postsubmits: {org/repo: [{name: a, always_run: null, labels: {b: 1}}]}", "presubmits: {~: []}",
		"PRESUBMITS: {a: [{Name: x, Branches: [1.5]}]}", "prow_ignored: &x {a: 1}\npresets: [{labels: *x}]",
		"presubmits: {a/b: [{<<: {name: a}, spec: {containers: [{resources: {requests: {cpu: 1}}}]}}]}",
		"periodics: [{cron: 5, tags: [1], labels: {name: 7}}]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		var direct, viaJSON JobConfig
		list := new(yamldec.Decoder).Decode([]byte(content), &direct, yamldec.Options{QuotedStrings: true})
		err := yaml.Unmarshal([]byte(content), &viaJSON)
		if err != nil {
			// What the detour cannot even convert may stand where nobody reads.
			var none struct{}
			if len(list) == 0 && !singleLetter.MatchString(content) && yaml.Unmarshal([]byte(content), &none) == nil {
				t.Fatalf("%q is accepted, but not over JSON: %v", content, err)
			}
			return
		}
		// Keys that stand twice, in one or another case, and single letters differ
		// on purpose.
		if singleLetter.MatchString(content) || yaml.UnmarshalStrict([]byte(content), new(JobConfig)) != nil {
			t.Skip()
		}
		if len(list) > 0 {
			t.Fatalf("%q is refused: %v", content, list)
		}
		a, err := yaml.Marshal(viaJSON)
		if err != nil {
			t.Fatal(err)
		}
		b, err := yaml.Marshal(direct)
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Errorf("%q: over JSON\n%sdirectly\n%s", content, a, b)
		}
	})
}

// FuzzProwIgnore: no pattern harms.
func FuzzProwIgnore(f *testing.F) {
	f.Add("*.yaml\n!a/**/b\n[!x]\\", "a/b/c.yaml")
	f.Fuzz(func(_ *testing.T, content, name string) {
		ignored([]ignoreRules{parseIgnore("", []byte(content)), parseIgnore("a", []byte(content))}, name, len(name)%2 == 0)
	})
}

// FuzzGzip: a file that claims to be compressed is read or refused.
func FuzzGzip(f *testing.F) {
	f.Add([]byte{0x1f, 0x8b})
	path := f.TempDir() + "/file"
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if file, err := readFile(path); err == nil && len(file.data) > maxFileSize {
			t.Error("more was read than may be")
		}
	})
}
