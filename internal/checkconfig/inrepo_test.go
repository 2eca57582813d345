package checkconfig

import (
	"maps"
	"testing"
)

func TestJobsOfARepository(t *testing.T) {
	const config = `
gerrit: {allowed_presubmit_trigger_re: ^/test}
in_repo_config: {enabled: {"*": true, "off": false}}
presubmits:
  org/repo:
  - {name: static, spec: {containers: [{image: x}]}}
`
	job := func(name, more string) string {
		return "presubmits:\n- {name: " + name + ", " + more + "spec: {containers: [{image: x}]}}\n"
	}
	for name, tc := range map[string]struct {
		files map[string]string
		args  []string
		want  int
		says  []string
	}{
		"none":                           {nil, nil, 0, []string{"note: . has neither .prow nor .prow.yaml"}},
		"of another repository":          {nil, []string{"--prow-yaml-repo-name=off/repo"}, 0, []string{"note: in_repo_config.enabled is not true for off/repo"}},
		"a good one":                     {map[string]string{".prow.yaml": job("a", "")}, nil, 0, nil},
		"one named like a static one":    {map[string]string{".prow.yaml": job("static", "")}, nil, 1, []string{"static"}},
		"one on a cluster it may not":    {map[string]string{".prow.yaml": job("a", "cluster: secret, ")}, nil, 1, []string{".prow.yaml:2", "job a: cluster", "org/repo"}},
		"a command Gerrit does not take": {map[string]string{".prow.yaml": job("a", "trigger: /run a, rerun_command: /run a, ")}, nil, 1, []string{"job a: rerun_command", "/run a"}},
		"an unknown field, tolerated":    {map[string]string{".prow.yaml": job("a", "lol: 1, ")}, nil, 0, nil},
		"an unknown field, looked for":   {map[string]string{".prow.yaml": job("a", "lol: 1, ")}, []string{"--warnings=unknown-fields-all"}, 1, []string{".prow.yaml:2:13: presubmits[0].lol"}},
		"prow_ignored":                   {map[string]string{".prow.yaml": "prow_ignored: {lol: 1}\n" + job("a", "")}, []string{"--warnings=unknown-fields-all"}, 0, nil},
		"the directory hides the file":   {map[string]string{".prow.yaml": "[", ".prow/a/b.yaml": job("a", "")}, nil, 0, nil},
		"a mistake in the directory":     {map[string]string{".prow/a/b.yaml": "presubmits: 1"}, nil, 1, []string{".prow/a/b.yaml:1:13: presubmits"}},
		"what is ignored is not looked at": {map[string]string{".prowignore": "/.prow/x.yaml", ".prow/x.yaml": "lol: 1", ".prow/y.yaml": job("a", "")},
			[]string{"--warnings=unknown-fields-all"}, 0, nil},
		"elsewhere": {map[string]string{"sub/.prow.yaml": "presubmits: 1"}, []string{"--prow-yaml-path=DIR/sub/.prow.yaml"}, 1, []string{"DIR/sub/.prow.yaml:1:13"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"config.yaml": config}
			maps.Copy(files, tc.files)
			dir := lay(t, files)
			args := []string{"--config-path=config.yaml", "--prow-yaml-repo-name=org/repo"}
			for _, arg := range tc.args {
				args = append(args, inDir(arg, dir))
			}
			r := run(t, args...)
			if r.status != tc.want {
				t.Errorf("exit status %d, want %d: %s%s", r.status, tc.want, r.stdout, r.stderr)
			}
			for _, part := range tc.says {
				has(t, "standard error", r.stderr, inDir(part, dir))
			}
		})
	}
}
