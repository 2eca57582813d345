package pod

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/downward"
	"prow/internal/pod/entry"
	"prow/internal/pod/options"
)

// kubeletValues are the variables of a container as its process sees them: each
// value is expanded once, with the variables before it. It follows the rule of
// Kubernetes to the letter, including how it treats a $ before a character
// beyond ASCII.
func kubeletValues(vars []corev1.EnvVar) map[string]string {
	values := map[string]string{}
	for _, v := range vars {
		values[v.Name] = kubeletExpand(v.Value, values)
	}
	return values
}

func kubeletExpand(in string, values map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(in); i++ {
		if in[i] != '$' || i+1 == len(in) {
			b.WriteByte(in[i])
			continue
		}
		i++
		switch in[i] {
		case '$':
			b.WriteByte('$')
		case '(':
			end := strings.IndexByte(in[i:], ')')
			if end < 0 {
				b.WriteString("$(")
				continue
			}
			name := in[i+1 : i+end]
			if value, ok := values[name]; ok {
				b.WriteString(value)
			} else {
				b.WriteString("$(" + name + ")")
			}
			i += end
		default:
			b.WriteString("$" + string(rune(in[i])))
		}
	}
	return b.String()
}

func TestLiteral(t *testing.T) {
	for sentence, c := range map[string]struct{ in, want string }{
		"text without a dollar stays":               {"plain (text)", "plain (text)"},
		"a price stays":                             {"costs $5", "costs $5"},
		"a shell variable stays":                    {"${HOME}", "${HOME}"},
		"a dollar at the end stays":                 {"costs 5$", "costs 5$"},
		"a reference is escaped":                    {"$(TOKEN)", "$$(TOKEN)"},
		"an escaped reference is escaped again":     {"$$(TOKEN)", "$$$$(TOKEN)"},
		"an open reference is escaped":              {"$(TOKEN", "$$(TOKEN"},
		"two dollars are escaped":                   {"pid $$", "pid $$$$"},
		"a dollar before a wide character is, too":  {"$é", "$$é"},
		"three dollars and a parenthesis":           {"$$$(X)", "$$$$$$(X)"},
		"every reference of several":                {"$(A) $(B)", "$$(A) $$(B)"},
		"a dollar between a reference and the rest": {"$(A)$x", "$$(A)$x"},
	} {
		if got := literal(c.in); got != c.want {
			t.Errorf("%s: got %s, want %s", sentence, got, c.want)
		}
	}
}

func FuzzLiteralComesOutOfTheKubeletUnchanged(f *testing.F) {
	for _, seed := range []string{"", "$", "$$", "$(X)", "$$(X)", "$(", "a$é$(X)$", "$\xff", "$($(X))"} {
		f.Add(seed)
	}
	values := map[string]string{"X": "secret", "": "empty", "$(X": "nested"}
	f.Fuzz(func(t *testing.T, text string) {
		if got := kubeletExpand(literal(text), values); got != text {
			t.Errorf("%q became %q by %q", text, got, literal(text))
		}
	})
}

// hostile are texts that an author of pull requests may choose.
func hostile() []string {
	return []string{
		`$(JOB_SPEC)`, `$(BUILD_ID)`, `$(MY_SECRET)`, `$$(BUILD_ID)`, `$(`, `$$`, `"],"args":["evil"`, `back\slash`, "new\nline", `<html> & "quotes"`, `$é`, `$"`,
		`$(JOB_SPEC) "$(BUILD_ID)"`,
	}
}

func TestTextOfAuthorsReachesEveryContainerUnchanged(t *testing.T) {
	for _, text := range hostile() {
		t.Run(text, func(t *testing.T) {
			pj := decorated()
			pj.Spec.Refs.Pulls[0].Title, pj.Spec.Refs.Pulls[0].HeadRef, pj.Spec.Refs.BaseRef = text, text, text
			pj.Spec.PodSpec.Containers[0].Args = []string{"title: $(PULL_TITLE)", "$(ARTIFACTS)", "$$(BUILD_ID)", "$(JOB_SPEC)", "$(UNKNOWN)", "$(MY_ENV)", "$(MY_SECRET)"}
			pj.Spec.PodSpec.Containers[0].Env = []corev1.EnvVar{
				{Name: "MY_ENV", Value: `user "quotes"`}, {Name: "MY_SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "k"}}},
				{Name: "PULL_TITLE", Value: "not this one"},
			}
			built, err := Build(pj)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range slices.Concat(built.Spec.InitContainers, built.Spec.Containers) {
				env := kubeletValues(c.Env)
				if raw, ok := env[downward.JobSpecEnv]; ok {
					var spec downward.JobSpec
					if err := json.Unmarshal([]byte(raw), &spec); err != nil {
						t.Fatalf("%s: JOB_SPEC: %v\n%s", c.Name, err, raw)
					}
					if pull := spec.Refs.Pulls[0]; pull.Title != text || pull.HeadRef != text || spec.Refs.BaseRef != text {
						t.Errorf("%s: JOB_SPEC: %+v", c.Name, spec.Refs)
					}
				}
			}
			test := kubeletValues(find(t, built.Spec.Containers, "test", containerName).Env)
			if test["PULL_TITLE"] != text || test["PULL_HEAD_REF"] != text || test["PULL_BASE_REF"] != text {
				t.Errorf("variables: %q, %q, %q", test["PULL_TITLE"], test["PULL_HEAD_REF"], test["PULL_BASE_REF"])
			}
			var wrapped entry.Options
			if err := json.Unmarshal([]byte(test[entry.OptionsEnv]), &wrapped); err != nil {
				t.Fatalf("entrypoint: %v\n%s", err, test[entry.OptionsEnv])
			}
			want := []string{"/bin/thing", "title: " + text, "/logs/artifacts", "$(BUILD_ID)", test[downward.JobSpecEnv], "$(UNKNOWN)", `user "quotes"`, ""}
			if !slices.Equal(wrapped.Args, want) {
				t.Errorf("command:\n got %q\nwant %q", wrapped.Args, want)
			}
			var clone options.Clone
			if err := json.Unmarshal([]byte(kubeletValues(built.Spec.InitContainers[0].Env)[options.CloneEnv]), &clone); err != nil || clone.Refs[0].Pulls[0].Title != text {
				t.Errorf("clonerefs: %v, %+v", err, clone.Refs)
			}
			var sidecar options.Sidecar
			if err := json.Unmarshal([]byte(kubeletValues(find(t, built.Spec.Containers, "sidecar", containerName).Env)[options.SidecarEnv]), &sidecar); err != nil {
				t.Errorf("sidecar: %v", err)
			}
		})
	}
}

func TestUndecoratedTextOfAuthors(t *testing.T) {
	for _, text := range hostile() {
		pj := undecorated()
		pj.Spec.Refs.Pulls[0].Title = text
		built, err := Build(pj)
		if err != nil {
			t.Fatal(err)
		}
		if got := kubeletValues(built.Spec.Containers[0].Env)["PULL_TITLE"]; got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestReferencesThatTheKubeletCanExpandStay(t *testing.T) {
	pj := decorated()
	pj.Spec.PodSpec.Containers[0].Args = []string{"$(ARTIFACTS)/x", "$(PULL_NUMBER)", "$$x", "$(BUILD_ID"}
	pj.Spec.Refs.Pulls[0].Title = "costs $5"
	built, err := Build(pj)
	if err != nil {
		t.Fatal(err)
	}
	c := built.Spec.Containers[0]
	if got := find(t, c.Env, entry.OptionsEnv, envName).Value; !strings.Contains(got, `"args":["/bin/thing","$(ARTIFACTS)/x","$(PULL_NUMBER)","$$x","$(BUILD_ID"]`) {
		t.Errorf("entrypoint: %s", got)
	}
	if got := find(t, c.Env, "PULL_TITLE", envName).Value; got != "costs $5" {
		t.Errorf("title: %s", got)
	}
	if got := find(t, built.Spec.Containers[1].Env, options.SidecarEnv, envName).Value; !strings.Contains(got, `"$(ARTIFACTS)/x","$(PULL_NUMBER)","$$x"`) {
		t.Errorf("sidecar: %s", got)
	}
}

func FuzzJobSpecSurvivesThePod(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text, "main")
	}
	f.Fuzz(func(t *testing.T, title, ref string) {
		spec := v1.ProwJobSpec{Type: v1.PresubmitJob, Agent: v1.KubernetesAgent, Job: "j", Refs: &v1.Refs{Org: "o", Repo: "r", BaseRef: ref, Pulls: []v1.Pull{{Number: 1, Title: title}}}}
		jobSpec := downward.NewJobSpec(spec, "1", "id")
		env, err := jobSpec.Env()
		if err != nil {
			t.Fatal(err)
		}
		values := kubeletValues(envVars(env))
		read, err := downward.FromEnv(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			t.Fatal(err)
		}
		// JSON has no bytes that are not text.
		if got, want := read.Refs.Pulls[0].Title, strings.ToValidUTF8(title, "\ufffd"); strings.ToValidUTF8(title, "") == title && got != want {
			t.Errorf("title %q became %q", want, got)
		}
		if values["PULL_BASE_REF"] != ref {
			t.Errorf("ref %q became %q", ref, values["PULL_BASE_REF"])
		}
	})
}
