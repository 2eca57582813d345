package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "prow/api/prowjobs/v1"
)

// reservedLabels are set by the system alone.
var reservedLabels = []string{v1.TypeLabel, v1.CreatedByProwLabel, v1.ProwJobIDLabel}

// validJobName tells whether a job may have the name. Names become parts of
// storage paths and URLs; Jenkins jobs may lie in folders.
func validJobName(name, agent string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		case c == '/' && agent == string(v1.JenkinsAgent) && i > 0:
		default:
			return false
		}
	}
	last := name[len(name)-1]
	return agent != string(v1.JenkinsAgent) || len(name) == 1 || last != '.' && last != '/'
}

// checkBase checks what all jobs share.
func (r *resolver) checkBase(b *JobBase, typ v1.ProwJobType, problems *jobProblems) {
	report := problems.report
	if !validJobName(b.Name, b.Agent) {
		expected := "letters, digits, '-', '.' and '_'"
		if b.Agent == string(v1.JenkinsAgent) {
			expected += ", in folders separated by '/', not ending in '.' or '/'"
		}
		report("name", "found %q, expected %s", b.Name, expected)
	}
	if b.MaxConcurrency < 0 {
		report("max_concurrency", "found %d, expected 0 (no limit) or a positive number", b.MaxConcurrency)
	}
	r.checkAgent(b, problems)
	checkPodSpec(b.Spec, typ, b.DecorationConfig, report)
	if b.Agent == string(v1.TektonAgent) {
		checkTektonTasks(b, typ, report)
	}
	r.checkLabels(b, report)
	if b.JobQueueName != "" {
		if _, ok := r.config.Plank.JobQueueCapacities[b.JobQueueName]; !ok {
			report("job_queue_name", "found %q, expected a queue of plank.job_queue_capacities", b.JobQueueName)
		}
	}
	// What follows was never asked of jobs without containers, so that existing
	// files may break it; they are told, and go on.
	hasContainers := b.Spec != nil && len(b.Spec.Containers) > 0
	if !hasContainers {
		report = problems.warn
	}
	if err := b.RerunAuthConfig.Validate(); err != nil {
		report("rerun_auth_config", "%v", err)
	}
	checkCloneURIs(b, report, problems.warn)
	for i := range b.ExtraRefs {
		if err := b.ExtraRefs[i].Validate(); err != nil {
			problems.report(fmt.Sprintf("extra_refs[%d]", i), "%v", err)
		}
	}
	if hasContainers && b.DecorationConfig != nil {
		checkDecoration(b, report)
	}
}

// checkAgent checks that a job has what its agent runs and nothing else.
// Agents that are not known here belong to somebody else's controller.
func (r *resolver) checkAgent(b *JobBase, problems *jobProblems) {
	report := problems.report
	const kubernetes, jenkins, tekton = string(v1.KubernetesAgent), string(v1.JenkinsAgent), string(v1.TektonAgent)
	if b.Agent != kubernetes && b.Agent != jenkins && b.Agent != tekton {
		problems.warn("agent", "found %q, which no controller here runs", b.Agent)
		return
	}
	hasPipeline := b.PipelineRunSpec != nil || b.TektonPipelineRunSpec != nil && b.TektonPipelineRunSpec.V1Beta1 != nil
	switch {
	case b.Spec != nil && b.Agent != kubernetes:
		report("spec", "found a pod spec, expected none, because the agent is %s", b.Agent)
	case b.Spec == nil && b.Agent == kubernetes:
		report("spec", "missing, expected a pod spec, because the agent is kubernetes")
	}
	switch {
	case hasPipeline && b.Agent != tekton:
		report("pipeline_run_spec", "found a pipeline, expected none, because the agent is %s", b.Agent)
	case !hasPipeline && b.Agent == tekton:
		report("pipeline_run_spec", "missing, expected a pipeline, because the agent is tekton-pipeline")
	}
	if b.DecorationConfig != nil && b.Agent != kubernetes {
		report("decoration_config", "found a decorated job, expected decorate: false, because the agent is %s", b.Agent)
	}
	if b.ErrorOnEviction && b.Agent != kubernetes {
		report("error_on_eviction", "found true, expected false, because the agent is %s", b.Agent)
	}
	if *b.Namespace != r.config.PodNamespace && b.Agent != tekton {
		report("namespace", "found %q, expected pod_namespace (%q), because the agent is %s", *b.Namespace, r.config.PodNamespace, b.Agent)
	}
}

func (r *resolver) checkLabels(b *JobBase, report fieldReporter) {
	for _, key := range slices.Sorted(maps.Keys(b.Labels)) {
		field := "labels." + key
		if slices.Contains(reservedLabels, key) {
			report(field, "the label is set by the system, expected another")
			continue
		}
		if err := r.remember(r.keys, key, validation.IsQualifiedName); err != nil {
			report(field, "not the name of a label: %v", err)
		}
		if err := r.remember(r.values, b.Labels[key], validation.IsValidLabelValue); err != nil {
			report(field, "found %q, which is not the value of a label: %v", b.Labels[key], err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b.Annotations)) {
		if err := r.remember(r.keys, key, validation.IsQualifiedName); err != nil {
			report("annotations."+key, "not the name of an annotation: %v", err)
		}
	}
}

// remember keeps verdicts about strings that thousands of jobs share.
func (r *resolver) remember(known map[string]error, s string, check func(string) []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err, ok := known[s]
	if !ok {
		if msgs := check(s); len(msgs) > 0 {
			err = fmt.Errorf("%s", strings.Join(msgs, "; "))
		}
		known[s] = err
	}
	return err
}

// Names that decoration uses, so that jobs cannot.
var (
	reservedContainers = []string{"clonerefs", "initupload", "place-entrypoint", "sidecar"}
	reservedVolumes    = []string{"logs", "code", "tools", "gcs-credentials", "s3-credentials"}
	reservedMounts     = []string{"logs", "code", "tools"}
	reservedPaths      = []string{"/logs", "/home/prow/go", "/tools"}
)

// reservedEnv are the variables every job of a type gets.
func reservedEnv(name string, typ v1.ProwJobType) bool {
	switch name {
	case "CI", "JOB_NAME", "JOB_SPEC", "JOB_TYPE", "PROW_JOB_ID", "BUILD_ID", "BUILD_NUMBER":
		return true
	case "REPO_OWNER", "REPO_NAME", "SRC_BASE", "SRC_HOST", "PULL_BASE_REF", "PULL_BASE_SHA", "PULL_REFS":
		return typ != v1.PeriodicJob
	case "PULL_NUMBER", "PULL_PULL_SHA", "PULL_HEAD_REF", "PULL_TITLE":
		return typ == v1.PresubmitJob
	}
	return false
}

// checkPodSpec checks that decoration can add its own parts to the pod.
func checkPodSpec(spec *corev1.PodSpec, typ v1.ProwJobType, decoration *v1.DecorationConfig, report fieldReporter) {
	if spec == nil {
		return
	}
	for i := range spec.InitContainers {
		if policy := spec.InitContainers[i].RestartPolicy; policy == nil || *policy != corev1.ContainerRestartPolicyAlways {
			report(fmt.Sprintf("spec.initContainers[%d]", i), "found an init container, expected none unless its restartPolicy is Always")
		}
	}
	switch n := len(spec.Containers); {
	case n == 0:
		report("spec.containers", "found no container, expected at least one")
	case n > 1 && decoration == nil:
		report("spec.containers", "found %d containers, expected one, because the job is not decorated", n)
	case n > 1:
		checkContainerNames(spec.Containers, report)
	}
	volumes := checkVolumes(spec.Volumes, decoration, report)
	for i := range spec.Containers {
		field := "spec.containers[" + strconv.Itoa(i) + "]"
		checkEnv(field, spec.Containers[i].Env, typ, report)
		checkMounts(field, spec.Containers[i].VolumeMounts, volumes, report)
	}
}

func checkContainerNames(containers []corev1.Container, report fieldReporter) {
	seen := map[string]bool{}
	for i := range containers {
		field, name := fmt.Sprintf("spec.containers[%d].name", i), containers[i].Name
		switch {
		case name == "":
			report(field, "missing; each of several containers needs a name")
		case slices.Contains(reservedContainers, name):
			report(field, "found %q, which is a container of the decoration", name)
		case seen[name]:
			report(field, "the name %q is used twice", name)
		}
		seen[name] = true
	}
}

func checkEnv(field string, env []corev1.EnvVar, typ v1.ProwJobType, report fieldReporter) {
	var seen nameSet
	if len(env) > 0 {
		seen.list = make([]string, 0, len(env))
	}
	for i := range env {
		name := env[i].Name
		if reservedEnv(name, typ) {
			report(field+fmt.Sprintf(".env[%d].name", i), "found %s, which the system sets for every %s", name, typ)
		}
		if seen.has(name) {
			report(field+fmt.Sprintf(".env[%d].name", i), "the variable %s is set twice", name)
		}
		seen.add(name)
	}
}

// checkVolumes returns the names mounts may use.
func checkVolumes(volumes []corev1.Volume, decoration *v1.DecorationConfig, report fieldReporter) *nameSet {
	var reserved, names nameSet
	reserved.list = slices.Clip(reservedVolumes)
	if decoration != nil {
		if decoration.OauthTokenSecret != nil {
			reserved.add(decoration.OauthTokenSecret.Name)
		}
		reserved.add(decoration.SSHKeySecrets...)
	}
	names.add(slices.Clip(reserved.list)...)
	if decoration != nil && len(volumes) > 0 {
		// A pod with two volumes of one name would be refused.
		reserved.add(decoration.ReservedVolumes()...)
	}
	for i := range volumes {
		name := volumes[i].Name
		switch {
		case reserved.has(name):
			report(fmt.Sprintf("spec.volumes[%d].name", i), "found %q, which is a volume of the decoration", name)
		case names.has(name):
			report(fmt.Sprintf("spec.volumes[%d].name", i), "the volume %q is declared twice", name)
		}
		names.add(name)
	}
	return &names
}

func checkMounts(field string, mounts []corev1.VolumeMount, volumes *nameSet, report fieldReporter) {
	for i := range mounts {
		m := &mounts[i]
		switch {
		case slices.Contains(reservedMounts, m.Name):
			report(fmt.Sprintf("%s.volumeMounts[%d].name", field, i), "found %q, which is a volume of the decoration", m.Name)
		case !volumes.has(m.Name):
			report(fmt.Sprintf("%s.volumeMounts[%d].name", field, i), "found %q, expected the name of a volume", m.Name)
		}
		if slices.Contains(reservedPaths, m.MountPath) {
			report(fmt.Sprintf("%s.volumeMounts[%d].mountPath", field, i), "found %q, where the decoration mounts its own volume", m.MountPath)
		}
	}
}

// checkDecoration checks that the containers of a job can be decorated.
func checkDecoration(b *JobBase, report fieldReporter) {
	if err := b.DecorationConfig.Validate(); err != nil {
		report("decoration_config", "%v", err)
	}
	for i := range b.Spec.Containers {
		c := &b.Spec.Containers[i]
		switch {
		case len(c.Command) > 0 && c.Command[0] != "", len(c.Command) == 0 && len(c.Args) > 0 && c.Args[0] != "":
		default:
			report(fmt.Sprintf("spec.containers[%d].command", i), "missing; a decorated container needs a command or args, because its image's entrypoint is replaced")
		}
	}
}

// checkCloneURIs checks that the repositories can be cloned the way the
// decoration asks for. Those of extra refs count only if the job has one itself.
func checkCloneURIs(b *JobBase, report, warn fieldReporter) {
	oauth := b.DecorationConfig != nil && b.DecorationConfig.OauthTokenSecret != nil
	check := func(report fieldReporter, field, uri string) {
		if uri == "" {
			return
		}
		// What stands before the first @ is a user, which scp-like addresses have.
		bare := uri
		if _, after, found := strings.Cut(uri, "@"); found {
			bare = after
		}
		u, err := url.Parse(bare)
		switch {
		case oauth && (err != nil || u.Scheme != "http" && u.Scheme != "https"):
			report(field, "found %q, expected an http or https URL, because oauth_token_secret is set", uri)
		case err != nil:
			report(field, "found %q, expected a URL: %v", uri, err)
		}
	}
	check(report, "clone_uri", b.CloneURI)
	if b.CloneURI == "" {
		report = warn
	}
	for i := range b.ExtraRefs {
		check(report, fmt.Sprintf("extra_refs[%d].clone_uri", i), b.ExtraRefs[i].CloneURI)
	}
}

// check refuses matchers that contradict each other.
func (m *RegexpChangeMatcher) check(alwaysRun bool, report fieldReporter) {
	switch {
	case m.RunIfChanged != "" && m.SkipIfOnlyChanged != "":
		report("skip_if_only_changed", "found together with run_if_changed, expected one of them")
	case alwaysRun && m.RunIfChanged != "":
		report("run_if_changed", "found together with always_run: true, expected one of them")
	case alwaysRun && m.SkipIfOnlyChanged != "":
		report("skip_if_only_changed", "found together with always_run: true, expected one of them")
	}
}

func checkReporter(b *JobBase, r *Reporter, report fieldReporter) {
	switch {
	case !r.SkipReport && r.Context == "":
		report("context", "missing; a job that reports needs a context")
	case r.SkipReport && b.Labels[v1.GerritReportLabel] != "":
		report("skip_report", "found true together with the label %s, expected one of them", v1.GerritReportLabel)
	}
}

// pipelineTasks is what matters here of a Tekton PipelineRunSpec.
type pipelineTasks struct {
	PipelineSpec *struct {
		Tasks []struct {
			TaskRef *struct {
				Name string `json:"name"`
			} `json:"taskRef"`
		} `json:"tasks"`
	} `json:"pipelineSpec"`
}

const implicitGitRef = "PROW_IMPLICIT_GIT_REF"

var extraGitRef = regexp.MustCompile(`PROW_EXTRA_GIT_REF_(\d+)`)

// checkTektonTasks checks that the tasks of a pipeline use exactly the extra
// refs there are. Tasks with a spec of their own use none.
func checkTektonTasks(b *JobBase, typ v1.ProwJobType, report fieldReporter) {
	raw, field := b.PipelineRunSpec, "pipeline_run_spec"
	if b.TektonPipelineRunSpec != nil && b.TektonPipelineRunSpec.V1Beta1 != nil {
		raw, field = b.TektonPipelineRunSpec.V1Beta1, "tekton_pipeline_run_spec.v1beta1"
	}
	if raw == nil {
		return
	}
	var run pipelineTasks
	if err := json.Unmarshal(raw.Raw, &run); err != nil {
		report(field, "not a PipelineRunSpec: %v", err)
		return
	}
	if run.PipelineSpec == nil {
		return
	}
	used := map[int]bool{}
	for i, task := range run.PipelineSpec.Tasks {
		if task.TaskRef == nil {
			continue
		}
		name, taskField := task.TaskRef.Name, fmt.Sprintf("%s.pipelineSpec.tasks[%d].taskRef.name", field, i)
		if name == implicitGitRef && typ == v1.PeriodicJob {
			report(taskField, "found %s, which a periodic has no ref for", name)
		}
		m := extraGitRef.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		index, err := strconv.Atoi(m[1])
		switch {
		case err != nil || strconv.Itoa(index) != m[1]:
			report(taskField, "found the index %s, expected a number without leading zeros", m[1])
		case index >= len(b.ExtraRefs):
			report(taskField, "found the index %d, but there are %d extra_refs", index, len(b.ExtraRefs))
		default:
			used[index] = true
		}
	}
	for i := range b.ExtraRefs {
		if !used[i] {
			report(fmt.Sprintf("extra_refs[%d]", i), "no task of the pipeline uses it, expected one with the reference PROW_EXTRA_GIT_REF_%d", i)
		}
	}
}
