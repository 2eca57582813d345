package mkpod

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const decorated = `
apiVersion: prow.k8s.io/v1
kind: ProwJob
metadata: {name: the-name, labels: {created-by-prow: "true", team: a}}
spec:
  agent: kubernetes
  type: postsubmit
  job: push
  refs: {org: org, repo: repo, base_ref: main, base_sha: sha}
  decoration_config:
    timeout: 1h0m0s
    utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
    gcs_configuration: {bucket: gs://b, path_strategy: explicit}
    gcs_credentials_secret: storage
    ssh_key_secrets: [one, two, three]
  pod_spec:
    containers: [{name: "", image: i, command: [make]}]
    volumes: [{name: host, hostPath: {path: /x}}, {name: scratch, emptyDir: {}}]
status: {state: triggered, build_id: "42"}
`

func mkpod(t *testing.T, stdin string, args ...string) (pod corev1.Pod, stderr string, err error) {
	t.Helper()
	var o Options
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	err = Run(t.Context(), &o, Streams{In: strings.NewReader(stdin), Out: &out, Err: &errOut})
	if err != nil && out.Len() > 0 {
		t.Errorf("after an error something was printed: %s", out.String())
	}
	if err == nil {
		if err := yaml.UnmarshalStrict(out.Bytes(), &pod); err != nil {
			t.Fatalf("standard output is not one pod: %v\n%s", err, out.String())
		}
	}
	return pod, errOut.String(), err
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pj.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func envOf(c corev1.Container, name string) string {
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
	if i < 0 {
		return ""
	}
	return c.Env[i].Value
}

func volume(t *testing.T, pod corev1.Pod, name string) corev1.VolumeSource {
	t.Helper()
	i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("no volume %s", name)
	}
	return pod.Spec.Volumes[i].VolumeSource
}

func TestBuildIDs(t *testing.T) {
	without := strings.Replace(decorated, `, build_id: "42"`, "", 1)
	for sentence, c := range map[string]struct {
		input string
		args  []string
		want  string // a regular expression
		warns bool
	}{
		"that of the ProwJob":                        {decorated, nil, `^42$`, false},
		"a given one wins":                           {decorated, []string{"--build-id=7"}, `^7$`, false},
		"probe 32: snowflake makes a decimal one":    {decorated, []string{"--build-id=snowflake"}, `^[0-9]{19}$`, false},
		"snowflake is written as one likes":          {without, []string{"--build-id=SnowFlake"}, `^[0-9]{19}$`, false},
		"none is a warning":                          {without, nil, `^$`, true},
		"a ProwJob in JSON is read as one in YAML":   {`{"metadata":{"name":"the-name"},"spec":{"agent":"kubernetes","type":"periodic","job":"j","pod_spec":{"containers":[{"image":"i"}]}},"status":{"build_id":"8"}}`, nil, `^8$`, false},
		"a ProwJob as the API server gives it, also": {decorated + "  startTime: null\n", nil, `^42$`, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			input := strings.Replace(c.input, `status: {state: triggered, build_id: "42"}`+"\n  startTime", "status:\n  state: triggered\n  build_id: \"42\"\n  startTime", 1)
			for _, from := range []string{"-", file(t, input)} {
				stdin := ""
				if from == "-" {
					stdin = input
				}
				pod, stderr, err := mkpod(t, stdin, append([]string{"--prow-job=" + from}, c.args...)...)
				if err != nil {
					t.Fatal(err)
				}
				id := pod.Labels["prow.k8s.io/build-id"]
				if !regexp.MustCompile(c.want).MatchString(id) || envOf(pod.Spec.Containers[0], "BUILD_ID") != id {
					t.Errorf("label %q, variable %q, want %s", id, envOf(pod.Spec.Containers[0], "BUILD_ID"), c.want)
				}
				if _, has := pod.Labels["created-by-prow"]; has || pod.Kind != "Pod" || pod.APIVersion != "v1" || pod.Name != "the-name" || pod.Namespace != "" {
					t.Errorf("metadata: %+v %+v", pod.TypeMeta, pod.ObjectMeta)
				}
				if (stderr != "") != c.warns {
					t.Errorf("standard error: %s", stderr)
				}
			}
		})
	}
}

func TestLocal(t *testing.T) {
	t.Run("a directory for the output, and no credentials for storage", func(t *testing.T) {
		pod, _, err := mkpod(t, "", "--prow-job="+file(t, decorated), "--local", "--out-dir=/x", "--build-id=7")
		if err != nil {
			t.Fatal(err)
		}
		if out := volume(t, pod, "output"); out.HostPath == nil || out.HostPath.Path != "/x/7" || out.HostPath.Type != nil {
			t.Errorf("output: %+v", out)
		}
		if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "gcs-credentials" }) {
			t.Error("credentials are mounted")
		}
		sidecar := pod.Spec.Containers[len(pod.Spec.Containers)-1]
		if got := envOf(sidecar, "SIDECAR_OPTIONS"); !strings.Contains(got, `"local_output_dir":"/output"`) || strings.Contains(got, "gcs_credentials_file") {
			t.Errorf("sidecar: %s", got)
		}
	})
	t.Run("answers replace volumes", func(t *testing.T) {
		for answers, want := range map[string][3]string{
			"\nempty\n/data/a\n":    {"secret", "emptyDir", "/data/a"},
			"Empty\nEmptyDir\n  \n": {"emptyDir", "emptyDir", "secret"},
			"/data/a":               {"/data/a", "secret", "secret"},
			"":                      {"secret", "secret", "secret"},
		} {
			pod, stderr, err := mkpod(t, answers, "--prow-job="+file(t, decorated), "--local", "--out-dir=/x")
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range []string{"ssh-keys-one", "ssh-keys-two", "ssh-keys-three"} {
				source, got := volume(t, pod, name), ""
				switch {
				case source.Secret != nil && source.EmptyDir == nil && source.HostPath == nil:
					got = "secret"
				case source.EmptyDir != nil && source.Secret == nil:
					got = "emptyDir"
				case source.HostPath != nil && source.Secret == nil:
					got = source.HostPath.Path
				}
				if got != want[i] {
					t.Errorf("answers %q: %s is %s, want %s", answers, name, got, want[i])
				}
			}
			if strings.Count(stderr, "Volume ") != 3 || !strings.Contains(stderr, `Volume "ssh-keys-one" (secret one)`) {
				t.Errorf("questions: %s", stderr)
			}
			if strings.HasSuffix(answers, "\n") == strings.Contains(stderr, "standard input has ended") {
				t.Errorf("answers %q: %s", answers, stderr)
			}
		}
	})
	t.Run("without --out-dir a new directory is made", func(t *testing.T) {
		t.Setenv("TMPDIR", t.TempDir())
		pod, _, err := mkpod(t, decorated, "--prow-job=-", "--local")
		if err != nil {
			t.Fatal(err)
		}
		path := volume(t, pod, "output").HostPath.Path
		if info, err := os.Stat(path); err != nil || !info.IsDir() || !strings.HasPrefix(filepath.Base(path), "prowjob-out-push-42") {
			t.Errorf("%s: %v", path, err)
		}
	})
	t.Run("without a build id the name keeps runs apart", func(t *testing.T) {
		pod, _, err := mkpod(t, strings.Replace(decorated, `, build_id: "42"`, "", 1), "--prow-job=-", "--local", "--out-dir=/x")
		if err != nil {
			t.Fatal(err)
		}
		if got := volume(t, pod, "output").HostPath.Path; got != "/x/the-name" {
			t.Errorf("output: %s", got)
		}
	})
}

func TestMkpodErrors(t *testing.T) {
	for sentence, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no ProwJob":                              {"", nil, "--prow-job is required"},
		"probe 32: --out-dir without --local":     {decorated, []string{"--prow-job=-", "--out-dir=/x"}, "only with --local"},
		"a file that does not exist":              {"", []string{"--prow-job=/does/not/exist"}, "/does/not/exist"},
		"standard input that is no YAML":          {"{", []string{"--prow-job=-"}, "read the ProwJob from standard input"},
		"another kind of object":                  {"kind: Pod", []string{"--prow-job=-"}, "standard input holds a Pod"},
		"nothing at all":                          {"", []string{"--prow-job=-"}, "pod_spec is missing"},
		"an endless input":                        {strings.Repeat("#", maxProwJob+1), []string{"--prow-job=-"}, "larger than"},
		"a ProwJob without the refs of its type":  {"spec: {type: postsubmit, pod_spec: {containers: [{image: i}]}}", []string{"--prow-job=-"}, "needs refs"},
		"a ProwJob without a pull of its type":    {"spec: {type: presubmit, refs: {org: o, repo: r}, pod_spec: {containers: [{image: i}]}}", []string{"--prow-job=-"}, "no pull request"},
		"a ProwJob with a duration that is none":  {"spec: {decoration_config: {timeout: soon}}", []string{"--prow-job=-"}, `duration "soon"`},
		"a ProwJob of a pipeline makes no pod":    {"spec: {type: periodic, pipeline_run_spec: {}}", []string{"--prow-job=-"}, "pod_spec is missing"},
		"a decorated one without utility images":  {"spec: {type: periodic, decoration_config: {}, pod_spec: {containers: [{image: i}]}}", []string{"--prow-job=-"}, "utility_images is missing"},
		"a decorated one without a storage place": {"spec: {type: periodic, decoration_config: {utility_images: {}}, pod_spec: {containers: [{image: i}]}}", []string{"--prow-job=-"}, "gcs_configuration is missing"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if _, _, err := mkpod(t, c.stdin, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
