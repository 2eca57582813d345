package pod

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/joblabels"
	"prow/internal/pod/downward"
)

// TestContainerName is the name of the only container of a job; in a pod of
// several, names are kept.
const TestContainerName = "test"

// Option changes how a pod is built.
type Option func(*builder)

// WithLocalOutput makes the pod copy its output to a directory of its node
// instead of storing it.
func WithLocalOutput(hostDir string) Option {
	return func(b *builder) { b.localOutput = hostDir }
}

type builder struct {
	localOutput string
}

// Build returns the pod of a ProwJob whose build id is set. The namespace is
// left to the caller. The ProwJob is not changed; an error says what it lacks.
func Build(pj *v1.ProwJob, opts ...Option) (*corev1.Pod, error) {
	var b builder
	for _, opt := range opts {
		opt(&b)
	}
	pod, err := b.build(pj)
	if err != nil {
		return nil, fmt.Errorf("pod for ProwJob %q: %w", pj.Name, err)
	}
	return pod, nil
}

func (b *builder) build(pj *v1.ProwJob) (*corev1.Pod, error) {
	if pj.Spec.PodSpec == nil {
		return nil, errors.New("pod_spec is missing")
	}
	jobSpec := downward.NewJobSpec(pj.Spec, pj.Status.BuildID, pj.Name)
	env, err := jobSpec.Env()
	if err != nil {
		return nil, err
	}

	spec := pj.Spec.PodSpec.DeepCopy()
	spec.RestartPolicy = corev1.RestartPolicyNever
	switch len(spec.Containers) {
	case 0:
		return nil, errors.New("pod_spec has no containers")
	case 1:
		spec.Containers[0].Name = TestContainerName
	}
	// Decided before a default service account is filled in, so that a job which
	// did not ask for one gets no token of it.
	if spec.AutomountServiceAccountToken == nil && spec.ServiceAccountName == "" {
		no := false
		spec.AutomountServiceAccountToken = &no
	}

	if pj.Spec.DecorationConfig == nil {
		for i := range spec.Containers {
			appendEnv(&spec.Containers[i], env)
		}
	} else if err := b.decorate(spec, pj, env); err != nil {
		return nil, err
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			if containers[i].TerminationMessagePolicy == "" {
				containers[i].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
			}
		}
	}

	labels, annotations := Metadata(pj)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: pj.Name, Labels: labels, Annotations: annotations},
		Spec:       *spec,
	}, nil
}

// Metadata returns the labels and annotations of a ProwJob's workload: its own,
// with its name and build id.
func Metadata(pj *v1.ProwJob) (labels, annotations map[string]string) {
	extra := maps.Clone(pj.Labels)
	if extra == nil {
		extra = map[string]string{}
	}
	extra[v1.ProwJobIDLabel] = pj.Name
	extra[v1.BuildIDLabel] = pj.Status.BuildID
	return joblabels.For(pj.Spec, extra, pj.Annotations)
}

// appendEnv adds variables in the order of their names. Of two with one name
// Kubernetes uses the last, so these win over the user's.
func appendEnv(c *corev1.Container, env map[string]string) {
	c.Env = append(c.Env, envVars(env)...)
}

// envVars are variables with exactly these values, in the order of their names.
func envVars(env map[string]string) []corev1.EnvVar {
	vars := make([]corev1.EnvVar, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		vars = append(vars, corev1.EnvVar{Name: name, Value: literal(env[name])})
	}
	return vars
}
