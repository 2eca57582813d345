package pod_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/entry"
	"prow/internal/pod/options"
)

// checkPod holds a pod against the rules of pod construction, told once more
// and in another way than Build tells them: as what must be seen in the result.
func checkPod(t *testing.T, pj *v1.ProwJob, pod *corev1.Pod, local string) {
	t.Helper()
	c := &checker{t: t, pj: pj, user: pj.Spec.PodSpec, pod: pod, spec: &pod.Spec, d: pj.Spec.DecorationConfig, local: local}
	c.metadata()
	c.common()
	if c.d == nil {
		c.undecorated()
		return
	}
	c.utilities()
	c.tests()
	c.volumes()
	c.settings()
}

type checker struct {
	t     *testing.T
	pj    *v1.ProwJob
	user  *corev1.PodSpec
	pod   *corev1.Pod
	spec  *corev1.PodSpec
	d     *v1.DecorationConfig
	local string
}

func (c *checker) equal(what string, got, want any) {
	c.t.Helper()
	if !reflect.DeepEqual(got, want) {
		c.t.Errorf("%s of %s: got %v, want %v", what, c.pj.Spec.Job, got, want)
	}
}

func (c *checker) metadata() {
	c.equal("name", c.pod.Name, c.pj.Name)
	c.equal("namespace", c.pod.Namespace, "")
	c.equal("owners", len(c.pod.OwnerReferences), 0)
	for key, want := range map[string]string{"created-by-prow": "true", "prow.k8s.io/type": string(c.pj.Spec.Type), "prow.k8s.io/id": c.pj.Name, "prow.k8s.io/build-id": c.pj.Status.BuildID} {
		c.equal("label "+key, c.pod.Labels[key], want)
	}
	for key, value := range c.pod.Labels {
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			c.t.Errorf("label %s=%q: %v", key, value, problems)
		}
	}
	for key, value := range c.pj.Labels {
		c.equal("label "+key, c.pod.Labels[key], value)
	}
	for key, want := range map[string]string{"prow.k8s.io/job": c.pj.Spec.Job, "prow.k8s.io/context": c.pj.Spec.Context} {
		c.equal("annotation "+key, c.pod.Annotations[key], want)
	}
	for key, value := range c.pj.Annotations {
		c.equal("annotation "+key, c.pod.Annotations[key], value)
	}
}

func (c *checker) common() {
	c.equal("restart policy", c.spec.RestartPolicy, corev1.RestartPolicyNever)
	switch token := c.spec.AutomountServiceAccountToken; {
	case c.user.AutomountServiceAccountToken != nil:
		c.equal("token", *token, *c.user.AutomountServiceAccountToken)
	case c.user.ServiceAccountName != "":
		c.equal("token", token == nil, true)
	default:
		c.equal("token", token != nil && !*token, true)
	}
	for _, container := range slices.Concat(c.spec.InitContainers, c.spec.Containers) {
		want := corev1.TerminationMessageFallbackToLogsOnError
		for _, own := range slices.Concat(c.user.InitContainers, c.user.Containers) {
			if own.TerminationMessagePolicy != "" && (own.Name == container.Name || len(c.user.Containers) == 1 && container.Name == "test") {
				want = own.TerminationMessagePolicy
			}
		}
		c.equal("termination message policy", container.TerminationMessagePolicy, want)
	}
	for i, own := range c.user.Containers {
		want := own.Name
		if len(c.user.Containers) == 1 {
			want = "test"
		}
		c.equal("container", c.spec.Containers[i].Name, want)
		c.equal("image", c.spec.Containers[i].Image, own.Image)
	}
}

// variables are the names that this job must get, beside the user's.
func (c *checker) variables() []string {
	names := []string{"CI", "JOB_NAME", "JOB_TYPE", "JOB_SPEC", "PROW_JOB_ID", "BUILD_ID"}
	if c.pj.Spec.Agent == v1.KubernetesAgent {
		names = append(names, "BUILD_NUMBER")
	}
	if c.pj.Spec.Type != v1.PeriodicJob {
		names = append(names, "REPO_OWNER", "REPO_NAME", "SRC_HOST", "SRC_BASE", "PULL_BASE_REF", "PULL_BASE_SHA", "PULL_REFS")
	}
	if c.pj.Spec.Type == v1.PresubmitJob {
		names = append(names, "PULL_NUMBER", "PULL_PULL_SHA", "PULL_HEAD_REF", "PULL_TITLE")
	}
	if c.d != nil {
		names = append(names, "ARTIFACTS", "GOPATH")
	}
	slices.Sort(names)
	return names
}

func envNames(vars []corev1.EnvVar) []string {
	names := []string{}
	for _, v := range vars {
		names = append(names, v.Name)
	}
	return names
}

func (c *checker) undecorated() {
	c.equal("containers", len(c.spec.Containers), len(c.user.Containers))
	for i, own := range c.user.Containers {
		got := c.spec.Containers[i]
		c.equal("own variables", len(own.Env) == 0 || reflect.DeepEqual(got.Env[:len(own.Env)], own.Env), true)
		c.equal("variables", envNames(got.Env[len(own.Env):]), c.variables())
		c.equal("command", append(got.Command, got.Args...), append(own.Command, own.Args...))
		c.equal("mounts", got.VolumeMounts, own.VolumeMounts)
		c.equal("resources", got.Resources, own.Resources)
		c.equal("working directory", got.WorkingDir, own.WorkingDir)
	}
	c.equal("init containers", len(c.spec.InitContainers), len(c.user.InitContainers))
	c.equal("volumes", c.spec.Volumes, c.user.Volumes)
	c.equal("security context", c.spec.SecurityContext, c.user.SecurityContext)
	c.equal("tolerations", c.spec.Tolerations, c.user.Tolerations)
	c.equal("grace period", c.spec.TerminationGracePeriodSeconds, c.user.TerminationGracePeriodSeconds)
}

func (c *checker) refs() []v1.Refs {
	var refs []v1.Refs
	if c.pj.Spec.Refs != nil {
		refs = append(refs, *c.pj.Spec.Refs)
	}
	return append(refs, c.pj.Spec.ExtraRefs...)
}

func (c *checker) clones() bool {
	return len(c.refs()) > 0 && (c.d.SkipCloning == nil || !*c.d.SkipCloning)
}

func (c *checker) file() bool {
	return c.local == "" && strings.HasPrefix(c.d.GCSConfiguration.Bucket, "file://")
}

// credentials are the mounts for storage: secrets, then a directory.
func (c *checker) credentials() (secrets, directory []string) {
	set := func(s *string) bool { return s != nil && *s != "" && c.local == "" }
	if set(c.d.GCSCredentialsSecret) {
		secrets = append(secrets, "gcs-credentials:/secrets/gcs")
	}
	if set(c.d.S3CredentialsSecret) {
		secrets = append(secrets, "s3-credentials:/secrets/s3-storage")
	}
	switch {
	case c.local != "":
		directory = append(directory, "output:/output")
	case c.file():
		dir := strings.TrimPrefix(c.d.GCSConfiguration.Bucket, "file://")
		directory = append(directory, "storage:"+dir)
	}
	return secrets, directory
}

func (c *checker) cloneMounts() []string {
	var mounts []string
	for _, secret := range c.d.SSHKeySecrets {
		if !strings.Contains(secret, ".") {
			mounts = append(mounts, "ssh-keys-"+secret+":/secrets/ssh/"+secret+":ro")
			continue
		}
		mounts = append(mounts, "*:/secrets/ssh/"+secret+":ro")
	}
	if s := c.d.OauthTokenSecret; s != nil {
		mounts = append(mounts, s.Name+":/secrets/oauth:ro")
	}
	if s := c.d.GitHubAppPrivateKeySecret; s != nil {
		mounts = append(mounts, s.Name+":/secrets/github-app:ro")
	}
	mounts = append(mounts, "clonerefs-tmp:/tmp")
	if s := c.d.CookieFileSecret; s != nil && *s != "" {
		mounts = append(mounts, "cookiefile:/secrets/cookiefile:ro")
	}
	if m := c.d.GitMirrorVolume; m != nil && *m != (v1.GitMirrorVolume{}) {
		mounts = append(mounts, "git-mirrors:/git-mirrors:ro")
	}
	return mounts
}

// mounts compares mounts, told as name:path[:ro]; a name of * is any.
func (c *checker) mounts(container corev1.Container, want ...string) {
	c.t.Helper()
	var got []string
	for i, m := range container.VolumeMounts {
		text := m.Name + ":" + m.MountPath
		if i < len(want) && strings.HasPrefix(want[i], "*:") {
			text = "*:" + m.MountPath
		}
		if m.ReadOnly {
			text += ":ro"
		}
		got = append(got, text)
	}
	c.equal("mounts of "+container.Name, strings.Join(got, " "), strings.Join(want, " "))
}

func (c *checker) decode(container corev1.Container, name string, into any) {
	c.t.Helper()
	for _, v := range container.Env {
		if v.Name == name {
			if err := json.Unmarshal([]byte(v.Value), into); err != nil {
				c.t.Errorf("%s of %s: %v", name, container.Name, err)
			}
			return
		}
	}
	c.t.Errorf("%s has no %s", container.Name, name)
}

func (c *checker) utilities() {
	var want []string
	if c.clones() {
		want = append(want, "clonerefs")
	}
	for _, own := range c.user.InitContainers {
		want = append(want, own.Name)
	}
	want = append(want, "initupload", "place-entrypoint")
	var got []string
	byName := map[string]corev1.Container{}
	for _, container := range slices.Concat(c.spec.InitContainers, c.spec.Containers) {
		byName[container.Name] = container
	}
	for _, container := range c.spec.InitContainers {
		got = append(got, container.Name)
	}
	c.equal("init containers", got, want)
	c.equal("last container", c.spec.Containers[len(c.spec.Containers)-1].Name, "sidecar")
	c.equal("containers", len(c.spec.Containers), len(c.user.Containers)+1)

	secrets, directory := c.credentials()
	upload, resources := byName["initupload"], c.d.Resources
	if resources == nil {
		resources = &v1.Resources{}
	}
	for name, r := range map[string]*corev1.ResourceRequirements{"clonerefs": resources.CloneRefs, "initupload": resources.InitUpload, "place-entrypoint": resources.PlaceEntrypoint, "sidecar": resources.Sidecar} {
		if container, ok := byName[name]; ok && r != nil {
			c.equal("resources of "+name, container.Resources, *r)
		}
	}
	var initOpts options.InitUpload
	c.decode(upload, "INITUPLOAD_OPTIONS", &initOpts)
	c.equal("variables of initupload", envNames(upload.Env), []string{"INITUPLOAD_OPTIONS", "JOB_SPEC"})
	if c.clones() {
		clone := byName["clonerefs"]
		c.equal("image of clonerefs", clone.Image, c.d.UtilityImages.CloneRefs)
		c.equal("variables of clonerefs", envNames(clone.Env), []string{"CLONEREFS_OPTIONS"})
		c.equal("command of clonerefs", len(clone.Command), 0)
		c.mounts(clone, append([]string{"logs:/logs", "code:/home/prow/go"}, c.cloneMounts()...)...)
		c.mounts(upload, slices.Concat([]string{"logs:/logs"}, secrets, directory)...)
		c.equal("clone log", initOpts.Log, "/logs/clone.json")
		var opts options.Clone
		c.decode(clone, "CLONEREFS_OPTIONS", &opts)
		c.equal("cloned refs", jsonOf(c.t, opts.Refs), jsonOf(c.t, c.refs()))
		c.equal("committer", opts.GitUserName+" "+opts.GitUserEmail, "ci-robot ci-robot@k8s.io")
		var args []string
		if opts.CookiePath != "" {
			args = []string{"--cookiefile=" + opts.CookiePath}
			secret, key, found := strings.Cut(*c.d.CookieFileSecret, "/")
			if !found {
				key = secret
			}
			c.equal("cookie file", opts.CookiePath, "/secrets/cookiefile/"+key)
		}
		c.equal("arguments of clonerefs", clone.Args, args)
		c.equal("GitHub endpoints", len(opts.GitHubAPIEndpoints) > 0, true)
	} else {
		c.mounts(upload, slices.Concat(secrets, directory)...)
		c.equal("clone log", initOpts.Log, "")
	}
	place := byName["place-entrypoint"]
	c.equal("arguments of place-entrypoint", place.Args, []string{"--copy-mode-only"})
	c.equal("variables of place-entrypoint", len(place.Env), 0)
	c.mounts(place, "tools:/tools")
	c.equal("images", []string{upload.Image, place.Image, byName["sidecar"].Image}, []string{c.d.UtilityImages.InitUpload, c.d.UtilityImages.Entrypoint, c.d.UtilityImages.Sidecar})

	sidecar := byName["sidecar"]
	c.equal("variables of sidecar", envNames(sidecar.Env), []string{"JOB_SPEC", "SIDECAR_OPTIONS"})
	if c.d.CensorSecrets == nil || !*c.d.CensorSecrets {
		c.mounts(sidecar, slices.Concat([]string{"logs:/logs"}, secrets, directory)...)
	}
	var opts options.Sidecar
	c.decode(sidecar, "SIDECAR_OPTIONS", &opts)
	c.equal("items", opts.GCSOptions.Items, []string{"/logs/artifacts"})
	c.equal("dry run", opts.GCSOptions.DryRun || initOpts.DryRun, false)
	c.equal("entry error", opts.EntryError, false)
	c.equal("entries", len(opts.Entries), len(c.user.Containers))
	c.equal("censoring", opts.CensoringOptions != nil, true)
	if c.local != "" {
		c.equal("local output", opts.GCSOptions.LocalOutputDir, "/output")
	}
	if err := opts.Validate(); err != nil {
		c.t.Errorf("sidecar would refuse its options: %v", err)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (c *checker) tests() {
	dir := ""
	if refs := c.refs(); c.clones() {
		at := max(0, slices.IndexFunc(refs, func(r v1.Refs) bool { return r.WorkDir }))
		dir = refs[at].ClonePath("/home/prow/go")
	}
	for i, own := range c.user.Containers {
		got := c.spec.Containers[i]
		c.equal("entrypoint", got.Command, []string{"/tools/entrypoint"})
		c.equal("arguments", len(got.Args), 0)
		c.equal("own variables", len(own.Env) == 0 || reflect.DeepEqual(got.Env[:len(own.Env)], own.Env), true)
		c.equal("variables", envNames(got.Env[len(own.Env):]), append(c.variables(), "ENTRYPOINT_OPTIONS"))
		var want []string
		for _, m := range own.VolumeMounts {
			ro := ""
			if m.ReadOnly {
				ro = ":ro"
			}
			want = append(want, m.Name+":"+m.MountPath+ro)
		}
		want = append(want, "logs:/logs", "tools:/tools")
		if c.clones() {
			want = append(want, "code:/home/prow/go")
			c.equal("working directory", got.WorkingDir, dir)
		} else {
			c.equal("working directory", got.WorkingDir, own.WorkingDir)
		}
		c.mounts(got, want...)

		var opts entry.Options
		c.decode(got, "ENTRYPOINT_OPTIONS", &opts)
		if command := slices.Concat(own.Command, own.Args); !strings.Contains(strings.Join(command, " "), "$(JOB_SPEC)") {
			c.equal("wrapped command", opts.Args, command) // else see TestTextOfAuthorsReachesEveryContainerUnchanged
		}
		c.equal("time-out", opts.Timeout, c.d.Timeout.Get())
		c.equal("grace period", opts.GracePeriod, c.d.GracePeriod.Get())
		files := []string{"/logs/process-log.txt", "/logs/marker-file.txt", "/logs/artifacts/metadata.json"}
		if len(c.user.Containers) > 1 {
			files = []string{"/logs/" + own.Name + "-log.txt", "/logs/" + own.Name + "-marker.txt", "/logs/artifacts/" + own.Name + "-metadata.json"}
		}
		c.equal("files", []string{opts.ProcessLog, opts.MarkerFile, opts.MetadataFile}, files)
		c.equal("artifacts", opts.ArtifactDir, "/logs/artifacts")
		c.equal("name in the options", opts.ContainerName, got.Name)

		request, hasRequest := own.Resources.Requests[corev1.ResourceMemory]
		if !hasRequest && c.d.DefaultMemoryRequest != nil {
			request, hasRequest = *c.d.DefaultMemoryRequest, true
		}
		if hasRequest {
			c.equal("memory request", got.Resources.Requests.Memory().String(), request.String())
		}
		limit := own.Resources.Limits.Memory().String()
		if hasRequest && c.d.SetLimitEqualsMemoryRequest != nil && *c.d.SetLimitEqualsMemoryRequest {
			limit = request.String()
		}
		c.equal("memory limit", got.Resources.Limits.Memory().String(), limit)
	}
}

func (c *checker) volumes() {
	var want []string
	for _, v := range c.user.Volumes {
		want = append(want, v.Name)
	}
	want = append(want, "logs", "tools")
	secrets, directory := c.credentials()
	for _, mount := range slices.Concat(secrets, directory) {
		name, _, _ := strings.Cut(mount, ":")
		want = append(want, name)
	}
	if c.clones() {
		for _, mount := range c.cloneMounts() {
			name, _, _ := strings.Cut(mount, ":")
			want = append(want, name)
		}
		want = append(want, "code")
	}
	var got []string
	seen := map[string]bool{}
	for i, v := range c.spec.Volumes {
		name := v.Name
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 || seen[name] {
			c.t.Errorf("volume %s: seen before: %t, %v", name, seen[name], problems)
		}
		seen[name] = true
		if i < len(want) && want[i] == "*" {
			name = "*"
		}
		got = append(got, name)
	}
	c.equal("volumes", strings.Join(got, " "), strings.Join(want, " "))
	for _, container := range slices.Concat(c.spec.InitContainers, c.spec.Containers) {
		paths := map[string]bool{}
		for _, m := range container.VolumeMounts {
			if !seen[m.Name] || paths[path.Clean(m.MountPath)] {
				c.t.Errorf("%s: mount of %s at %s", container.Name, m.Name, m.MountPath)
			}
			paths[path.Clean(m.MountPath)] = true
		}
	}
}

func (c *checker) settings() {
	c.equal("security context", c.spec.SecurityContext != nil, true)
	var own corev1.PodSecurityContext
	if c.user.SecurityContext != nil {
		own = *c.user.SecurityContext
	}
	for what, ids := range map[string][3]*int64{
		"user":      {c.spec.SecurityContext.RunAsUser, own.RunAsUser, c.d.RunAsUser},
		"group":     {c.spec.SecurityContext.RunAsGroup, own.RunAsGroup, c.d.RunAsGroup},
		"fs group":  {c.spec.SecurityContext.FSGroup, own.FSGroup, c.d.FSGroup},
		"grace":     {c.spec.TerminationGracePeriodSeconds, c.user.TerminationGracePeriodSeconds, graceOf(c.d)},
		"automount": {},
	} {
		want := ids[1]
		if want == nil {
			want = ids[2]
		}
		c.equal(what, number(ids[0]), number(want))
	}
	account := c.user.ServiceAccountName
	if account == "" && c.d.DefaultServiceAccountName != nil {
		account = *c.d.DefaultServiceAccountName
	}
	c.equal("service account", c.spec.ServiceAccountName, account)
	affinity, tolerations := c.user.Affinity, c.user.Tolerations
	if s := c.d.SchedulingOptions; s != nil {
		if affinity == nil {
			affinity = s.Affinity
		}
		if tolerations == nil {
			tolerations = s.Tolerations
		}
	}
	c.equal("affinity", c.spec.Affinity, affinity)
	c.equal("tolerations", c.spec.Tolerations, tolerations)
}

func graceOf(d *v1.DecorationConfig) *int64 {
	if d.GracePeriod == nil {
		return nil
	}
	seconds := int64(d.GracePeriod.Seconds()) * 5 / 4
	return &seconds
}

func number(n *int64) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}

// sortedKeys makes failures come in the same order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
