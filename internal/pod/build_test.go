package pod

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/entry"
	"prow/internal/pod/options"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func ptr[T any](v T) *T { return &v }

// undecorated is a presubmit with one container.
func undecorated() *v1.ProwJob {
	return &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: "pod", Labels: map[string]string{"needstobe": "inherited"}, Annotations: map[string]string{"also": "inherited"}},
		Spec: v1.ProwJobSpec{
			Type: v1.PresubmitJob, Agent: v1.KubernetesAgent, Job: "job-name", Context: "job-context",
			Refs: &v1.Refs{Org: "org-name", Repo: "repo-name", BaseRef: "base-ref", BaseSHA: "base-sha",
				Pulls: []v1.Pull{{Number: 1, Author: "author-name", SHA: "pull-sha", Title: `"quoted" <title> & more`, HeadRef: "branch-name"}}},
			PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{
				Image: "tester", Command: []string{"/bin/thing"}, Args: []string{"some", "args"},
				Env: []corev1.EnvVar{{Name: "MY_ENV", Value: "rocks"}},
			}}},
		},
		Status: v1.ProwJobStatus{BuildID: "blabla"},
	}
}

func decorated() *v1.ProwJob {
	pj := undecorated()
	pj.Spec.DecorationConfig = &v1.DecorationConfig{
		Timeout: &v1.Duration{Duration: 2 * time.Hour}, GracePeriod: &v1.Duration{Duration: 10 * time.Second},
		UtilityImages:        &v1.UtilityImages{CloneRefs: "clonerefs:tag", InitUpload: "initupload:tag", Entrypoint: "entrypoint:tag", Sidecar: "sidecar:tag"},
		GCSConfiguration:     &v1.GCSConfiguration{Bucket: "my-bucket", PathStrategy: "legacy", DefaultOrg: "kubernetes", DefaultRepo: "kubernetes"},
		GCSCredentialsSecret: ptr("secret-name"), CookieFileSecret: ptr("yummy/.gitcookies"),
	}
	return pj
}

func periodic() *v1.ProwJob {
	pj := decorated()
	pj.Spec.Type, pj.Spec.Refs = v1.PeriodicJob, nil
	return pj
}

func twoContainers() *v1.ProwJob {
	pj := decorated()
	second := *pj.Spec.PodSpec.Containers[0].DeepCopy()
	pj.Spec.PodSpec.Containers[0].Name = "a"
	second.Name, second.Command, second.Args = "b", nil, []string{"only", "args"}
	pj.Spec.PodSpec.Containers = append(pj.Spec.PodSpec.Containers, second)
	return pj
}

func withSecrets(pj *v1.ProwJob) *v1.ProwJob {
	secret := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
	}
	pj.Spec.PodSpec.Volumes = []corev1.Volume{secret("one"), secret("two"), emptyDir("scratch")}
	return pj
}

func change(pj *v1.ProwJob, f func(*v1.ProwJob, *v1.DecorationConfig)) *v1.ProwJob {
	f(pj, pj.Spec.DecorationConfig)
	return pj
}

var cases = map[string]struct {
	pj   *v1.ProwJob
	opts []Option
}{
	"undecorated-presubmit": {pj: undecorated()},
	"undecorated-two-containers-with-account": {pj: change(undecorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
		spec := pj.Spec.PodSpec
		spec.Containers[0].Name, spec.Containers[0].TerminationMessagePolicy = "kept", corev1.TerminationMessageReadFile
		spec.Containers = append(spec.Containers, corev1.Container{Name: "other", Image: "other"})
		spec.InitContainers = []corev1.Container{{Name: "native", Image: "native"}}
		spec.ServiceAccountName = "mine"
	})},
	"undecorated-tekton-periodic": {pj: change(undecorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
		pj.Spec.Type, pj.Spec.Refs, pj.Spec.Agent = v1.PeriodicJob, nil, v1.TektonAgent
	})},
	"decorated-presubmit-cookiefile": {pj: decorated()},
	"decorated-batch": {pj: change(decorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
		pj.Spec.Type = v1.BatchJob
		pj.Spec.Refs.Pulls = append(pj.Spec.Refs.Pulls, v1.Pull{Number: 2, Author: "second", SHA: "second-sha", Ref: "refs/odd/2"})
	})},
	"decorated-postsubmit-alias": {pj: change(decorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
		pj.Spec.Type, pj.Spec.Refs.Pulls, pj.Spec.Refs.PathAlias = v1.PostsubmitJob, nil, "k8s.io/repo-name"
	})},
	"decorated-ssh-keys": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		d.SSHKeySecrets, d.SSHHostFingerprints = []string{"ssh-1", "ssh-2"}, []string{"hello", "world"}
	})},
	"decorated-oauth-token": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		d.CookieFileSecret, d.OauthTokenSecret = nil, &v1.OauthTokenSecret{Name: "oauth.token.with-dots", Key: "token"}
	})},
	"decorated-github-app": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		d.CookieFileSecret, d.GitHubAPIEndpoints, d.GitHubAppID = nil, []string{"https://ghe.example/api"}, "1234"
		d.GitHubAppPrivateKeySecret = &v1.GitHubAppPrivateKeySecret{Name: "app-key", Key: "key"}
	})},
	"decorated-periodic-without-refs": {pj: periodic()},
	"decorated-periodic-extra-refs": {pj: change(periodic(), func(pj *v1.ProwJob, d *v1.DecorationConfig) {
		d.CookieFileSecret = nil
		pj.Spec.ExtraRefs = []v1.Refs{
			{Org: "o", Repo: "first", BaseRef: "main", Auxiliary: true},
			{Org: "o", Repo: "second", BaseRef: "main", RepoLink: "https://ghe.example/o/second", WorkDir: true, CloneDepth: 1, BloblessFetch: ptr(true)},
		}
		pj.Spec.PodSpec.Containers[0].WorkingDir = "/overwritten"
	})},
	"decorated-mirrors-sparse-chunks": {pj: change(decorated(), func(pj *v1.ProwJob, d *v1.DecorationConfig) {
		d.SparseCheckout, pj.Spec.Refs.SparseCheckout = []string{"cmd"}, []string{"cmd"}
		d.GitMirrorVolume, d.LogChunkInterval = &v1.GitMirrorVolume{HostPath: "/var/lib/git-mirrors"}, &v1.Duration{Duration: time.Minute}
	})},
	"decorated-mirror-claim": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		d.GitMirrorVolume = &v1.GitMirrorVolume{ClaimName: "mirrors"}
	})},
	"decorated-skip-cloning":   {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) { d.SkipCloning = ptr(true) })},
	"decorated-two-containers": {pj: twoContainers()},
	"decorated-memory": {pj: change(twoContainers(), func(pj *v1.ProwJob, d *v1.DecorationConfig) {
		pj.Spec.PodSpec.Containers[0].Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("8Gi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("100Gi")},
		}
		d.SetLimitEqualsMemoryRequest, d.DefaultMemoryRequest = ptr(true), ptr(resource.MustParse("4Gi"))
		d.Resources = &v1.Resources{Sidecar: &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}}
	})},
	"decorated-utility-resources": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		cpu := func(v string) *corev1.ResourceRequirements {
			return &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(v)}}
		}
		d.Resources = &v1.Resources{CloneRefs: cpu("1"), InitUpload: cpu("2"), PlaceEntrypoint: cpu("3"), Sidecar: cpu("4")}
	})},
	"decorated-default-account-s3": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		d.DefaultServiceAccountName, d.GCSCredentialsSecret, d.S3CredentialsSecret = ptr("x"), ptr(""), ptr("s3-secret")
		d.GCSConfiguration.Bucket, d.GCSConfiguration.MediaTypes = "s3://my-bucket", map[string]string{"log": "text/plain"}
	})},
	"decorated-censor": {pj: change(withSecrets(twoContainers()), func(pj *v1.ProwJob, d *v1.DecorationConfig) {
		containers := pj.Spec.PodSpec.Containers
		containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "one", MountPath: "/secret"}, {Name: "scratch", MountPath: "/scratch"}, {Name: "two", MountPath: "/file", SubPath: "key", ReadOnly: true}}
		containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "one", MountPath: "/secret"}, {Name: "one", MountPath: "/file"}}
		d.CensorSecrets = ptr(true)
		d.CensoringOptions = &v1.CensoringOptions{CensoringConcurrency: ptr(int64(2)), CensoringBufferSize: ptr(1024), MinimumSecretLength: ptr(3), IncludeDirectories: []string{"**/*.log"}, ExcludeDirectories: []string{"x"}}
	})},
	"decorated-scheduling-security": {pj: change(decorated(), func(pj *v1.ProwJob, d *v1.DecorationConfig) {
		d.RunAsUser, d.RunAsGroup, d.FSGroup = ptr(int64(1000)), ptr(int64(2000)), ptr(int64(3000))
		pj.Spec.PodSpec.SecurityContext = &corev1.PodSecurityContext{RunAsGroup: ptr(int64(7))}
		d.SchedulingOptions = &v1.SchedulingOptions{Affinity: &corev1.Affinity{}, Tolerations: []corev1.Toleration{{Key: "ci", Operator: corev1.TolerationOpExists}}}
		pj.Spec.PodSpec.TerminationGracePeriodSeconds = ptr(int64(60))
		d.UploadIgnoresInterrupts = ptr(true)
	})},
	"decorated-user-init-container": {pj: change(decorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
		pj.Spec.PodSpec.InitContainers = []corev1.Container{{Name: "native", Image: "native", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)}}
	})},
	"decorated-local-output": {pj: decorated(), opts: []Option{WithLocalOutput("/host/out")}},
	"decorated-file-storage": {pj: change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) {
		d.GCSCredentialsSecret, d.CookieFileSecret, d.GCSConfiguration.Bucket = nil, nil, "file:///var/lib/prow/storage"
	})},
}

func TestBuildGolden(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := c.pj.DeepCopy()
			pod, err := Build(c.pj, c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, c.pj); diff != "" {
				t.Errorf("Build changed the ProwJob:\n%s", diff)
			}
			got, err := yaml.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	files, _ := filepath.Glob("testdata/*.yaml")
	if len(files) != len(cases) {
		t.Errorf("%d golden files for %d cases", len(files), len(cases))
	}
}

func mustBuild(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	pod, err := Build(cases[name].pj, cases[name].opts...)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func find[T any](t *testing.T, list []T, name string, nameOf func(T) string) T {
	t.Helper()
	i := slices.IndexFunc(list, func(v T) bool { return nameOf(v) == name })
	if i < 0 {
		t.Fatalf("no %s in %v", name, names(list, nameOf))
	}
	return list[i]
}

func names[T any](list []T, nameOf func(T) string) string {
	var out []string
	for _, v := range list {
		out = append(out, nameOf(v))
	}
	return strings.Join(out, " ")
}

func containerName(c corev1.Container) string { return c.Name }
func volumeName(v corev1.Volume) string       { return v.Name }
func mountName(m corev1.VolumeMount) string   { return m.Name }
func envName(e corev1.EnvVar) string          { return e.Name }

func optionsOf[T any](t *testing.T, c corev1.Container, env string) T {
	t.Helper()
	var opts T
	if err := json.Unmarshal([]byte(find(t, c.Env, env, envName).Value), &opts); err != nil {
		t.Fatal(err)
	}
	return opts
}

// TestProbes are the acceptance probes of pod construction, by their numbers.
func TestProbes(t *testing.T) {
	t.Run("probe 1: an undecorated presubmit gets its variables and little else", undecoratedPod)
	t.Run("probe 2 and 11: a decorated presubmit with a cookie file", decoratedPodWithCookieFile)
	t.Run("probe 3: ssh keys", sshKeysAreMountedBetweenCodeAndTmp)
	t.Run("probe 4 and 5: nothing to clone", nothingToClone)
	t.Run("probe 6: two containers have files of their own", severalContainers)
	t.Run("probe 7: a quarter more than the grace period, unless the pod says otherwise", gracePeriod)
	t.Run("probe 8: memory", memoryOfContainers)
	t.Run("probe 9: a default account mounts no token", serviceAccounts)
	t.Run("probe 10: secrets reach sidecar when they are to be censored", secretsReachTheSidecar)
}

func gracePeriod(t *testing.T) {
	for sentence, c := range map[string]struct {
		grace time.Duration
		own   *int64
		want  int64
	}{
		"10s are 12":                    {10 * time.Second, nil, 12},
		"1h is 4500":                    {time.Hour, nil, 4500},
		"parts of seconds do not count": {1500 * time.Millisecond, nil, 1},
		"60 stay":                       {10 * time.Second, ptr(int64(60)), 60},
		"a pod may ask for none":        {10 * time.Second, ptr(int64(0)), 0},
	} {
		pod, err := Build(change(decorated(), func(pj *v1.ProwJob, d *v1.DecorationConfig) {
			d.GracePeriod, pj.Spec.PodSpec.TerminationGracePeriodSeconds = &v1.Duration{Duration: c.grace}, c.own
		}))
		if err != nil || *pod.Spec.TerminationGracePeriodSeconds != c.want {
			t.Errorf("%s: %v, %v", sentence, *pod.Spec.TerminationGracePeriodSeconds, err)
		}
	}
	unset, err := Build(change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) { d.GracePeriod = nil }))
	if err != nil || unset.Spec.TerminationGracePeriodSeconds != nil {
		t.Errorf("without a grace period: %v, %v", unset.Spec.TerminationGracePeriodSeconds, err)
	}
}

func undecoratedPod(t *testing.T) {
	pod := mustBuild(t, "undecorated-presubmit")
	c := pod.Spec.Containers[0]
	if c.Name != "test" || c.TerminationMessagePolicy != "FallbackToLogsOnError" || c.Env[0].Name != "MY_ENV" {
		t.Errorf("container: %+v", c)
	}
	if !slices.IsSortedFunc(c.Env[1:], func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) }) || len(c.Env) != 19 {
		t.Errorf("variables: %s", names(c.Env, envName))
	}
	if pod.Spec.RestartPolicy != "Never" || *pod.Spec.AutomountServiceAccountToken || pod.Spec.Volumes != nil || pod.Spec.SecurityContext != nil {
		t.Errorf("pod: %+v", pod.Spec)
	}
	if pod.Labels["prow.k8s.io/id"] != "pod" || pod.Labels["prow.k8s.io/build-id"] != "blabla" || pod.Labels["needstobe"] != "inherited" || pod.Annotations["also"] != "inherited" {
		t.Errorf("metadata: %v %v", pod.Labels, pod.Annotations)
	}
	explicit := mustBuild(t, "undecorated-two-containers-with-account")
	if explicit.Spec.AutomountServiceAccountToken != nil || explicit.Spec.Containers[0].Name != "kept" || explicit.Spec.Containers[0].TerminationMessagePolicy != "File" {
		t.Errorf("what the user sets stays: %+v", explicit.Spec)
	}
}

func decoratedPodWithCookieFile(t *testing.T) {
	pod := mustBuild(t, "decorated-presubmit-cookiefile")
	if got, want := names(pod.Spec.InitContainers, containerName), "clonerefs initupload place-entrypoint"; got != want {
		t.Errorf("init containers: got %s, want %s", got, want)
	}
	if got := pod.Spec.InitContainers[0].Args; len(got) != 1 || got[0] != "--cookiefile=/secrets/cookiefile/.gitcookies" {
		t.Errorf("arguments of clonerefs: %v", got)
	}
	cookie := find(t, pod.Spec.Volumes, "cookiefile", volumeName)
	if cookie.Secret.SecretName != "yummy" || *cookie.Secret.DefaultMode != 256 {
		t.Errorf("cookie file: %+v", cookie.Secret)
	}
	if got, want := names(pod.Spec.Volumes, volumeName), "logs tools gcs-credentials clonerefs-tmp cookiefile code"; got != want {
		t.Errorf("volumes: got %s, want %s", got, want)
	}
	if got := *pod.Spec.TerminationGracePeriodSeconds; got != 12 {
		t.Errorf("grace period: %d", got)
	}
	test := pod.Spec.Containers[0]
	if got := test.Env[len(test.Env)-1].Name; got != entry.OptionsEnv {
		t.Errorf("the last variable is %s", got)
	}
	if len(test.Command) != 1 || test.Command[0] != "/tools/entrypoint" || test.Args != nil || test.WorkingDir != "/home/prow/go/src/github.com/org-name/repo-name" {
		t.Errorf("test container: %+v", test)
	}
	if got := optionsOf[entry.Options](t, test, entry.OptionsEnv).Args; !slices.Equal(got, []string{"/bin/thing", "some", "args"}) {
		t.Errorf("wrapped command: %v", got)
	}
	want := `{"src_root":"/home/prow/go","log":"/logs/clone.json","git_user_name":"ci-robot","git_user_email":"ci-robot@k8s.io","refs":[`
	if got := pod.Spec.InitContainers[0].Env[0].Value; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `],"cookie_path":"/secrets/cookiefile/.gitcookies","github_api_endpoints":["https://api.github.com"]}`) {
		t.Errorf("clonerefs options: %s", got)
	}
	if got, want := pod.Spec.InitContainers[1].Env[0].Value, `{"bucket":"my-bucket","path_strategy":"legacy","default_org":"kubernetes","default_repo":"kubernetes","gcs_credentials_file":"/secrets/gcs/service-account.json","dry_run":false,"log":"/logs/clone.json"}`; got != want {
		t.Errorf("initupload options:\n got %s\nwant %s", got, want)
	}
}

func sshKeysAreMountedBetweenCodeAndTmp(t *testing.T) {
	clone := mustBuild(t, "decorated-ssh-keys").Spec.InitContainers[0]
	if got, want := names(clone.VolumeMounts, mountName), "logs code ssh-keys-ssh-1 ssh-keys-ssh-2 clonerefs-tmp cookiefile"; got != want {
		t.Errorf("mounts: got %s, want %s", got, want)
	}
	if m := clone.VolumeMounts[3]; m.MountPath != "/secrets/ssh/ssh-2" || !m.ReadOnly {
		t.Errorf("key: %+v", m)
	}
	if got := optionsOf[options.Clone](t, clone, options.CloneEnv).KeyFiles; !slices.Equal(got, []string{"/secrets/ssh/ssh-1", "/secrets/ssh/ssh-2"}) {
		t.Errorf("key files: %v", got)
	}
}

func nothingToClone(t *testing.T) {
	for _, name := range []string{"decorated-periodic-without-refs", "decorated-skip-cloning"} {
		pod := mustBuild(t, name)
		if got, want := names(pod.Spec.InitContainers, containerName), "initupload place-entrypoint"; got != want {
			t.Errorf("%s: init containers: got %s, want %s", name, got, want)
		}
		if got := names(pod.Spec.Volumes, volumeName); strings.Contains(got, "code") || pod.Spec.Containers[0].WorkingDir != "" {
			t.Errorf("%s: volumes %s, working directory %s", name, got, pod.Spec.Containers[0].WorkingDir)
		}
		upload := pod.Spec.InitContainers[0]
		if log := optionsOf[options.InitUpload](t, upload, options.InitUploadEnv).Log; log != "" || strings.Contains(names(upload.VolumeMounts, mountName), "logs") {
			t.Errorf("%s: initupload: log %q, mounts %s", name, log, names(upload.VolumeMounts, mountName))
		}
	}
}

func severalContainers(t *testing.T) {
	pod := mustBuild(t, "decorated-two-containers")
	opts := optionsOf[options.Sidecar](t, pod.Spec.Containers[2], options.SidecarEnv)
	if len(opts.Entries) != 2 {
		t.Fatalf("entries: %+v", opts.Entries)
	}
	a := opts.Entries[0]
	if a.ProcessLog != "/logs/a-log.txt" || a.MarkerFile != "/logs/a-marker.txt" || a.MetadataFile != "/logs/artifacts/a-metadata.json" || opts.Entries[1].ContainerName != "b" {
		t.Errorf("entries: %+v", opts.Entries)
	}
	if opts.EntryError || opts.CensoringOptions == nil {
		t.Errorf("options: %+v", opts)
	}
}

func memoryOfContainers(t *testing.T) {
	containers := mustBuild(t, "decorated-memory").Spec.Containers
	for i, want := range []struct{ request, limit string }{{"8Gi", "8Gi"}, {"4Gi", "4Gi"}, {"1Gi", "0"}} {
		r := containers[i].Resources
		if r.Requests.Memory().String() != want.request || r.Limits.Memory().String() != want.limit {
			t.Errorf("%s: %+v, want %+v", containers[i].Name, r, want)
		}
	}
}

func serviceAccounts(t *testing.T) {
	pod := mustBuild(t, "decorated-default-account-s3")
	if pod.Spec.ServiceAccountName != "x" || *pod.Spec.AutomountServiceAccountToken || strings.Contains(names(pod.Spec.Volumes, volumeName), "gcs") {
		t.Errorf("pod: %+v", pod.Spec)
	}
}

func secretsReachTheSidecar(t *testing.T) {
	pod := mustBuild(t, "decorated-censor")
	sidecar := find(t, pod.Spec.Containers, "sidecar", containerName)
	if got, want := optionsOf[options.Sidecar](t, sidecar, options.SidecarEnv).CensoringOptions.SecretDirectories, []string{"/secret", "/file", "/secrets/censor-2"}; !slices.Equal(got, want) {
		t.Errorf("secret directories: got %v, want %v", got, want)
	}
	if got, want := names(sidecar.VolumeMounts, mountName), "logs gcs-credentials one two one"; got != want {
		t.Errorf("mounts: got %s, want %s", got, want)
	}
	off := cases["decorated-censor"].pj.DeepCopy()
	off.Spec.DecorationConfig.CensorSecrets = nil
	pod, err := Build(off)
	if err != nil {
		t.Fatal(err)
	}
	sidecar = find(t, pod.Spec.Containers, "sidecar", containerName)
	if got := names(sidecar.VolumeMounts, mountName); got != "logs gcs-credentials" {
		t.Errorf("mounts without censoring: %s", got)
	}
}

func TestFileStorageIsSeenByTheUtilitiesOnly(t *testing.T) {
	pod := mustBuild(t, "decorated-file-storage")
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		mounted := strings.Contains(names(c.VolumeMounts, mountName), "storage")
		if want := c.Name == "initupload" || c.Name == "sidecar"; mounted != want {
			t.Errorf("%s: storage mounted: %t", c.Name, mounted)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	for sentence, c := range map[string]struct {
		pj   *v1.ProwJob
		want string
	}{
		"no pod spec":   {change(undecorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) { pj.Spec.PodSpec = nil }), `"pod": pod_spec is missing`},
		"no containers": {change(undecorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) { pj.Spec.PodSpec.Containers = nil }), "no containers"},
		"no refs":       {change(undecorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) { pj.Spec.Refs = nil }), "needs refs"},
		"no images":     {change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) { d.UtilityImages = nil }), "utility_images"},
		"no storage":    {change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) { d.GCSConfiguration = nil }), "gcs_configuration"},
		"nothing to wrap": {change(decorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
			pj.Spec.PodSpec.Containers[0].Command, pj.Spec.PodSpec.Containers[0].Args = nil, nil
		}), "neither command nor args"},
		"a taken volume": {change(decorated(), func(pj *v1.ProwJob, _ *v1.DecorationConfig) {
			pj.Spec.PodSpec.Volumes = []corev1.Volume{emptyDir("tools")}
		}), `volume "tools"`},
		"a relative store": {change(decorated(), func(_ *v1.ProwJob, d *v1.DecorationConfig) { d.GCSConfiguration.Bucket = "file://relative/path" }), "absolute path"},
	} {
		if _, err := Build(c.pj); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", sentence, err, c.want)
		}
	}
}
