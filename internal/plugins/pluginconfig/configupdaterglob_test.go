package pluginconfig

import "testing"

func TestGlobs(t *testing.T) {
	for _, tc := range []struct {
		glob, path string
		want       bool
	}{
		{"config/prow/config.yaml", "config/prow/config.yaml", true},
		{"config/prow/config.yaml", "config/prow/configXyaml", false},
		{"config/*.yaml", "config/a.yaml", true},
		{"config/*.yaml", "config/a/b.yaml", false},
		{"config/**/*.yaml", "config/b.yaml", true},
		{"config/**/*.yaml", "config/a/b/c.yaml", true},
		{"config/**/*.yaml", "xconfig/b.yaml", false},
		{"config/**", "config/a/b", true},
		{"config/{a,b*}/x", "config/bc/x", true},
		{"config/{a,b*}/x", "config/c/x", false},
		{"config/?.yaml", "config/a.yaml", true},
		{"config/?.yaml", "config//.yaml", false},
		{"config/[a-c].yaml", "config/b.yaml", true},
		{"config/[!a-c].yaml", "config/b.yaml", false},
		{"config/[!a-c].yaml", "config/d.yaml", true},
		{"config/[a", "config/[a", true},
		{"config/{a", "config/{a", true},
		{"config/[z-a]", "config/[z-a]", true},
		{"config/é*", "config/éa", true},
		{"config/\xeb", "config/\xeb", true},
	} {
		if got := globMatcher(tc.glob)(tc.path); got != tc.want {
			t.Errorf("%s, %s: %v", tc.glob, tc.path, got)
		}
	}
}

func TestTheMostSpecificGlobCounts(t *testing.T) {
	u := ConfigUpdater{Maps: map[string]ConfigMapSpec{
		"**": {Name: "all"}, "config/**/*.yaml": {Name: "yaml"}, "config/jobs/**/*.yaml": {Name: "jobs"}, "config/jobs/a.yaml": {Name: "a"}, "config/jobs/a*": {Name: "glob"},
	}}
	match := u.Matcher()
	for path, want := range map[string]string{"x": "all", "config/x.yaml": "yaml", "config/jobs/b/x.yaml": "jobs", "config/jobs/a.yaml": "a", "config/jobs/ab.yaml": "glob"} {
		if spec, ok := match(path); !ok || spec.Name != want {
			t.Errorf("%s: %s", path, spec.Name)
		}
	}
	if _, ok := (&ConfigUpdater{}).Matcher()("x"); ok {
		t.Error("nothing matches")
	}
}

func FuzzGlobs(f *testing.F) {
	f.Add("a/**/{b,[c]}*?", "a/b")
	f.Fuzz(func(_ *testing.T, glob, path string) { globMatcher(glob)(path) })
}
