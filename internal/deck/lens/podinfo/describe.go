package podinfo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/lens/look"
	"prow/internal/deck/lens/podfile"
)

const (
	maxYAML   = 512 << 10
	maxEvents = 500
	// optionsEnv is the variable that tells the wrapper of a test what to run.
	optionsEnv = "ENTRYPOINT_OPTIONS"
)

type view struct {
	Problems []string
	// Pod is false where the file knows of none.
	Pod                    bool
	Name, Link, Phase, Why string
	Start                  time.Time
	Node, HostIP           string
	Tolerations            []string
	Labels, Annotations    []pair
	ProwLabels, ProwAnnots []pair
	Containers             []container
	Volumes                []volume
	Events                 []event
	MoreEvents             int
	YAML                   string
}

type pair struct{ Name, Value string }

type volume struct{ Name, YAML string }

type event struct {
	Type, Reason, From, Message string
	Class                       string
	When                        time.Time
	Count                       int32
}

type container struct {
	Name, Image       string
	Init              bool
	State, Class      string
	Started, Finished time.Time
	Message           string
	Restarts          int32
	Command, Args     []string
	// Decorated is the command of the test that a wrapper runs.
	Decorated []string
	Mounts    []mount
	Env       []pair
}

// Open tells the containers that need a look.
func (c container) Open() bool { return c.Class == "failed" }

type mount struct {
	Path, Volume string
	ReadOnly     bool
}

// describe makes the page. Whatever is missing is left out.
func describe(info *podfile.Info) *view {
	v := &view{}
	if info == nil {
		return v
	}
	for i := range info.Events {
		if i == maxEvents {
			v.MoreEvents = len(info.Events) - i
			break
		}
		v.Events = append(v.Events, describeEvent(&info.Events[i]))
	}
	v.YAML = allYAML(info)
	pod := info.Pod
	if pod == nil {
		return v
	}
	v.Pod, v.Name, v.Phase, v.Node, v.HostIP = true, pod.Name, string(pod.Status.Phase), pod.Spec.NodeName, pod.Status.HostIP
	v.Why = strings.Trim(pod.Status.Reason+": "+pod.Status.Message, ": ")
	if pod.Status.StartTime != nil {
		v.Start = pod.Status.StartTime.Time
	}
	for _, t := range pod.Spec.Tolerations {
		if t.Key != corev1.TaintNodeNotReady && t.Key != corev1.TaintNodeUnreachable {
			v.Tolerations = append(v.Tolerations, toleration(t))
		}
	}
	v.Labels, v.ProwLabels = split(pod.Labels)
	v.Annotations, v.ProwAnnots = split(pod.Annotations)
	for _, vol := range pod.Spec.Volumes {
		v.Volumes = append(v.Volumes, volume{vol.Name, toYAML(vol.VolumeSource)})
	}
	for _, c := range pod.Spec.InitContainers {
		v.Containers = append(v.Containers, describeContainer(&c, pod.Status.InitContainerStatuses, true))
	}
	for _, c := range pod.Spec.Containers {
		v.Containers = append(v.Containers, describeContainer(&c, pod.Status.ContainerStatuses, false))
	}
	return v
}

// split keeps what Prow wrote apart.
func split(all map[string]string) (others, prow []pair) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := pair{name, all[name]}
		if strings.HasPrefix(name, "prow.k8s.io/") || strings.HasPrefix(name, "testgrid-") || name == v1.CreatedByProwLabel {
			prow = append(prow, p)
		} else {
			others = append(others, p)
		}
	}
	return others, prow
}

func toleration(t corev1.Toleration) string {
	out := t.Key
	if out == "" {
		out = "every taint"
	}
	if t.Operator != corev1.TolerationOpExists && t.Key != "" { // Equal is the default
		out += " = " + t.Value
	}
	if t.Effect != "" {
		out += ": " + string(t.Effect)
	}
	if t.TolerationSeconds != nil {
		out += " for " + strconv.FormatInt(*t.TolerationSeconds, 10) + "s"
	}
	return out
}

func describeEvent(e *corev1.Event) event {
	out := event{Type: e.Type, Reason: e.Reason, Message: e.Message, When: podfile.LastSeen(e), Count: e.Count, From: e.Source.Component}
	if e.Series != nil {
		out.Count = max(out.Count, e.Series.Count)
	}
	if out.From == "" {
		out.From = e.ReportingController
	}
	if e.Type == corev1.EventTypeWarning {
		out.Class = "failed"
	}
	return out
}

func describeContainer(c *corev1.Container, statuses []corev1.ContainerStatus, init bool) container {
	out := container{Name: c.Name, Image: c.Image, Init: init, Command: c.Command, Args: c.Args, State: "not known"}
	if i := slices.IndexFunc(statuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name }); i >= 0 {
		out.state(&statuses[i])
	}
	for _, m := range c.VolumeMounts {
		out.Mounts = append(out.Mounts, mount{m.MountPath, m.Name + suffix("/", m.SubPath), m.ReadOnly})
	}
	for _, e := range c.EnvFrom {
		switch {
		case e.ConfigMapRef != nil:
			out.Env = append(out.Env, pair{e.Prefix + "*", "all keys of config map " + e.ConfigMapRef.Name})
		case e.SecretRef != nil:
			out.Env = append(out.Env, pair{e.Prefix + "*", "all keys of secret " + e.SecretRef.Name})
		}
	}
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			value = source(e.ValueFrom)
		}
		out.Env = append(out.Env, pair{e.Name, value})
		if e.Name == optionsEnv {
			var options struct {
				Args []string `json:"args"`
			}
			if json.Unmarshal([]byte(e.Value), &options) == nil {
				out.Decorated = options.Args
			}
		}
	}
	return out
}

func suffix(separator, s string) string {
	if s == "" {
		return ""
	}
	return separator + s
}

func (c *container) state(s *corev1.ContainerStatus) {
	c.Restarts = s.RestartCount
	switch {
	case s.State.Terminated != nil:
		t := s.State.Terminated
		c.State, c.Class, c.Message = fmt.Sprintf("ended with code %d", t.ExitCode), "passed", t.Message
		if t.Reason != "" {
			c.State += " (" + t.Reason + ")"
		}
		if t.ExitCode != 0 {
			c.Class = "failed"
		}
		c.Started, c.Finished = t.StartedAt.Time, t.FinishedAt.Time
	case s.State.Running != nil:
		c.State, c.Class, c.Started = "running", "flaky", s.State.Running.StartedAt.Time
	case s.State.Waiting != nil:
		c.State, c.Class, c.Message = "waiting"+suffix(": ", s.State.Waiting.Reason), "flaky", s.State.Waiting.Message
	}
}

// source says where the value of a variable comes from.
func source(s *corev1.EnvVarSource) string {
	switch {
	case s.FieldRef != nil:
		return "field " + s.FieldRef.FieldPath
	case s.ResourceFieldRef != nil:
		return "resource " + s.ResourceFieldRef.Resource + suffix(" of container ", s.ResourceFieldRef.ContainerName)
	case s.ConfigMapKeyRef != nil:
		return "key " + s.ConfigMapKeyRef.Key + " of config map " + s.ConfigMapKeyRef.Name
	case s.SecretKeyRef != nil:
		return "key " + s.SecretKeyRef.Key + " of secret " + s.SecretKeyRef.Name
	case s.FileKeyRef != nil:
		return "key " + s.FileKeyRef.Key + " of file " + s.FileKeyRef.Path + " on volume " + s.FileKeyRef.VolumeName
	}
	return "a source that is not known here"
}

// allYAML is the whole file, without the book-keeping of the API server.
func allYAML(info *podfile.Info) string {
	all := *info
	if all.Pod != nil {
		all.Pod = all.Pod.DeepCopy()
		all.Pod.ManagedFields = nil
	}
	all.Events = slices.Clone(all.Events[:min(len(all.Events), maxEvents)])
	for i := range all.Events {
		all.Events[i].ManagedFields = nil
	}
	if all.Node != nil {
		all.Node = all.Node.DeepCopy()
		all.Node.ManagedFields = nil
	}
	return toYAML(&all)
}

func toYAML(of any) string {
	raw, err := yaml.Marshal(of)
	if err != nil {
		return "It cannot be shown as YAML: " + err.Error()
	}
	if len(raw) > maxYAML {
		return strings.ToValidUTF8(string(raw[:maxYAML]), "") + "\n… " + look.Size(int64(len(raw)-maxYAML)) + " more"
	}
	return string(raw)
}
