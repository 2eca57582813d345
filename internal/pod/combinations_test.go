package pod_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod"
)

func ptr[T any](v T) *T { return &v }

// aspect is one thing in which decorated jobs differ, and the ways it can be.
// An empty name is the usual way and is left out of the name of a combination.
type aspect struct {
	ways []way
}

type way struct {
	name  string
	apply func(pj *v1.ProwJob, d *v1.DecorationConfig)
}

func asIs(*v1.ProwJob, *v1.DecorationConfig) {}

func memory(request, limit string) corev1.ResourceRequirements {
	var r corev1.ResourceRequirements
	if request != "" {
		r.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(request)}
	}
	if limit != "" {
		r.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
	}
	return r
}

func secretVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
}

func aspects() []aspect {
	type PJ = *v1.ProwJob
	type D = *v1.DecorationConfig
	return []aspect{
		{[]way{
			{"presubmit", asIs},
			{"postsubmit", func(pj PJ, _ D) { pj.Spec.Type, pj.Spec.Refs.Pulls = v1.PostsubmitJob, nil }},
			{"batch", func(pj PJ, _ D) {
				pj.Spec.Type = v1.BatchJob
				pj.Spec.Refs.Pulls = append(pj.Spec.Refs.Pulls, v1.Pull{Number: 2, Author: "b", SHA: "two", Ref: "refs/odd/2"})
			}},
			{"periodic", func(pj PJ, _ D) { pj.Spec.Type, pj.Spec.Refs = v1.PeriodicJob, nil }},
		}},
		{[]way{
			{"", asIs},
			{"extra refs", func(pj PJ, _ D) {
				pj.Spec.ExtraRefs = []v1.Refs{{Org: "o", Repo: "aux", BaseRef: "main", Auxiliary: true}, {Org: "o", Repo: "x", BaseRef: "main", CloneDepth: 1}}
			}},
			{"extra refs with workdir", func(pj PJ, _ D) {
				pj.Spec.ExtraRefs = []v1.Refs{{Org: "o", Repo: "w", BaseRef: "main", RepoLink: "https://ghe.example/o/w", WorkDir: true, SkipSubmodules: true}}
			}},
		}},
		{[]way{
			{"", asIs},
			{"ssh keys", func(_ PJ, d D) {
				d.SSHKeySecrets, d.SSHHostFingerprints = []string{"ssh-1", "ssh-2"}, []string{"hello", "world"}
			}},
			{"oauth token", func(_ PJ, d D) { d.OauthTokenSecret = &v1.OauthTokenSecret{Name: "oauth", Key: "token"} }},
			{"github app", func(_ PJ, d D) {
				d.GitHubAPIEndpoints, d.GitHubAppID = []string{"https://ghe.example/api"}, "1234"
				d.GitHubAppPrivateKeySecret = &v1.GitHubAppPrivateKeySecret{Name: "app-key", Key: "key"}
			}},
			{"cookie file", func(_ PJ, d D) { d.CookieFileSecret = ptr("cookies") }},
			{"cookie file with key", func(_ PJ, d D) { d.CookieFileSecret = ptr("yummy/.gitcookies") }},
		}},
		{[]way{
			{"", func(_ PJ, d D) { d.GCSCredentialsSecret = ptr("gcs") }},
			{"s3", func(_ PJ, d D) { d.S3CredentialsSecret, d.GCSConfiguration.Bucket = ptr("s3"), "s3://bucket" }},
			{"gcs and s3", func(_ PJ, d D) { d.GCSCredentialsSecret, d.S3CredentialsSecret = ptr("gcs"), ptr("s3") }},
			{"no credentials", func(_ PJ, d D) { d.GCSCredentialsSecret, d.DefaultServiceAccountName = ptr(""), ptr("identity") }},
			{"file storage", func(_ PJ, d D) { d.GCSConfiguration.Bucket = "file:///var/lib/storage" }},
		}},
		{[]way{{"", asIs}, {"skip cloning", func(_ PJ, d D) { d.SkipCloning = ptr(true) }}, {"explicitly cloning", func(_ PJ, d D) { d.SkipCloning = ptr(false) }}}},
		{[]way{{"", asIs}, {"local output", asIs}}}, // an option of Build
		{[]way{
			{"", asIs},
			{"two containers", func(pj PJ, _ D) {
				pj.Spec.PodSpec.Containers[0].Name = "a"
				pj.Spec.PodSpec.Containers = append(pj.Spec.PodSpec.Containers, corev1.Container{Name: "b", Image: "other", Args: []string{"only", "args"}, VolumeMounts: []corev1.VolumeMount{{Name: "secret", MountPath: "/elsewhere", ReadOnly: true}}})
				pj.Spec.PodSpec.InitContainers = []corev1.Container{{Name: "native", Image: "native", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways)}}
			}},
		}},
		{[]way{
			{"", asIs},
			{"censoring", func(_ PJ, d D) { d.CensorSecrets = ptr(true) }},
			{"censoring with options", func(_ PJ, d D) {
				d.CensorSecrets, d.UploadIgnoresInterrupts = ptr(true), ptr(true)
				d.CensoringOptions = &v1.CensoringOptions{CensoringConcurrency: ptr(int64(2)), CensoringBufferSize: ptr(1024), MinimumSecretLength: ptr(3), IncludeDirectories: []string{"**/*.log"}, ExcludeDirectories: []string{"x"}}
			}},
		}},
		{[]way{
			{"", asIs},
			{"default memory", func(_ PJ, d D) { d.DefaultMemoryRequest = ptr(resource.MustParse("4Gi")) }},
			{"memory limit", func(pj PJ, d D) {
				d.SetLimitEqualsMemoryRequest, pj.Spec.PodSpec.Containers[0].Resources = ptr(true), memory("8Gi", "100Gi")
			}},
			{"default memory and limit", func(_ PJ, d D) {
				d.SetLimitEqualsMemoryRequest, d.DefaultMemoryRequest = ptr(true), ptr(resource.MustParse("4Gi"))
				sidecar := memory("1Gi", "")
				d.Resources = &v1.Resources{Sidecar: &sidecar}
			}},
		}},
		{[]way{
			{"", asIs},
			{"own account", func(pj PJ, _ D) { pj.Spec.PodSpec.ServiceAccountName = "mine" }},
			{"ids and scheduling", func(pj PJ, d D) {
				d.RunAsUser, d.RunAsGroup, d.FSGroup = ptr(int64(1000)), ptr(int64(2000)), ptr(int64(3000))
				d.SchedulingOptions = &v1.SchedulingOptions{Affinity: &corev1.Affinity{}, Tolerations: []corev1.Toleration{{Key: "ci", Operator: corev1.TolerationOpExists}}}
				pj.Spec.PodSpec.AutomountServiceAccountToken = ptr(true)
			}},
			{"own ids, scheduling and grace", func(pj PJ, d D) {
				d.RunAsUser, d.FSGroup = ptr(int64(1000)), ptr(int64(3000))
				d.SchedulingOptions = &v1.SchedulingOptions{Tolerations: []corev1.Toleration{{Key: "ci", Operator: corev1.TolerationOpExists}}}
				pj.Spec.PodSpec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr(int64(7))}
				pj.Spec.PodSpec.Tolerations, pj.Spec.PodSpec.TerminationGracePeriodSeconds = []corev1.Toleration{}, ptr(int64(60))
			}},
		}},
		{[]way{
			{"", asIs},
			{"mirrors and chunks", func(_ PJ, d D) {
				d.GitMirrorVolume, d.LogChunkInterval = &v1.GitMirrorVolume{HostPath: "/mirrors"}, &v1.Duration{Duration: time.Minute}
			}},
			{"mirror claim", func(_ PJ, d D) { d.GitMirrorVolume = &v1.GitMirrorVolume{ClaimName: "mirrors"} }},
		}},
		{[]way{
			{"", asIs},
			{"no time-outs", func(_ PJ, d D) { d.Timeout, d.GracePeriod = nil, nil }},
			{"media and compression", func(_ PJ, d D) {
				d.GCSConfiguration.MediaTypes, d.GCSConfiguration.CompressFileTypes = map[string]string{"log": "text/plain", "a": "text/a"}, []string{"txt", "log"}
				d.GCSConfiguration.PathPrefix, d.GCSConfiguration.JobURLPrefix = "pre", "https://x/"
			}},
		}},
	}
}

// usual is the job that the ways change.
func usual() *v1.ProwJob {
	return &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: "id", Labels: map[string]string{"own": "label"}, Annotations: map[string]string{"own": "annotation"}},
		Status:     v1.ProwJobStatus{BuildID: buildID},
		Spec: v1.ProwJobSpec{
			Type: v1.PresubmitJob, Agent: v1.KubernetesAgent, Job: "job", Context: "context",
			Refs: &v1.Refs{Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: "base", PathAlias: "k8s.io/repo", Pulls: []v1.Pull{{Number: 1, Author: "a", SHA: "one", Title: "Title"}}},
			PodSpec: &corev1.PodSpec{
				Containers: []corev1.Container{{Image: "image", Command: []string{"make"}, Args: []string{"test"}, Env: []corev1.EnvVar{{Name: "MINE", Value: "value"}},
					VolumeMounts: []corev1.VolumeMount{{Name: "secret", MountPath: "/secret"}, {Name: "scratch", MountPath: "/scratch"}}}},
				Volumes: []corev1.Volume{secretVolume("secret"), {Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			},
			DecorationConfig: &v1.DecorationConfig{
				Timeout: &v1.Duration{Duration: time.Hour}, GracePeriod: &v1.Duration{Duration: 10 * time.Second},
				UtilityImages:    &v1.UtilityImages{CloneRefs: "clonerefs", InitUpload: "initupload", Entrypoint: "entrypoint", Sidecar: "sidecar"},
				GCSConfiguration: &v1.GCSConfiguration{Bucket: "bucket", PathStrategy: v1.PathStrategyExplicit},
			},
		},
	}
}

// pairwise chooses combinations such that any two ways of any two aspects come
// together in one of them. It is the same for the same aspects.
func pairwise(all []aspect) [][]int {
	type pair struct{ a, i, b, j int }
	open := map[pair]bool{}
	var order []pair
	for a := range all {
		for b := a + 1; b < len(all); b++ {
			for i := range all[a].ways {
				for j := range all[b].ways {
					p := pair{a, i, b, j}
					open[p] = true
					order = append(order, p)
				}
			}
		}
	}
	var rows [][]int
	for _, first := range order {
		if !open[first] {
			continue
		}
		row := make([]int, len(all))
		for a := range row {
			row[a] = -1
		}
		row[first.a], row[first.b] = first.i, first.j
		gain := func(a, i int) (n int) {
			for b, j := range row {
				switch {
				case j < 0 || b == a:
				case b < a && open[pair{b, j, a, i}], b > a && open[pair{a, i, b, j}]:
					n++
				}
			}
			return n
		}
		for a := range row {
			if row[a] >= 0 {
				continue
			}
			best := 0
			for i := range all[a].ways {
				if gain(a, i) > gain(a, best) {
					best = i
				}
			}
			row[a] = best
		}
		for a := range row {
			for b := a + 1; b < len(row); b++ {
				delete(open, pair{a, row[a], b, row[b]})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func TestCombinations(t *testing.T) {
	all := aspects()
	golden := map[string]*bytes.Buffer{}
	rows := pairwise(all)
	for _, row := range rows {
		pj := usual()
		var names []string
		for a, i := range row {
			all[a].ways[i].apply(pj, pj.Spec.DecorationConfig)
			if name := all[a].ways[i].name; name != "" {
				names = append(names, name)
			}
		}
		if refs := pj.Spec.Refs; pj.Spec.Type == v1.PeriodicJob && refs != nil {
			t.Fatal("a periodic with refs")
		}
		name := strings.Join(names, ", ")
		t.Run(name, func(t *testing.T) {
			local, opts := "", []pod.Option(nil)
			if strings.Contains(name, "local output") {
				local = "/host/out"
				opts = append(opts, pod.WithLocalOutput(local))
			}
			built := buildAlike(t, pj, opts...)
			checkPod(t, pj, built, local)
			file := string(pj.Spec.Type)
			if golden[file] == nil {
				golden[file] = &bytes.Buffer{}
			}
			golden[file].WriteString("# " + name + "\n")
			document(t, golden[file], built)
		})
	}
	for _, name := range sortedKeys(golden) {
		compareGolden(t, filepath.Join("testdata", "combinations", name+".golden.yaml"), golden[name].Bytes())
	}
	if len(rows) < 30 {
		t.Errorf("%d combinations", len(rows))
	}
	t.Logf("%d combinations", len(rows))
}

func BenchmarkBuild(b *testing.B) {
	decorated, undecorated := usual(), usual()
	undecorated.Spec.DecorationConfig = nil
	for name, pj := range map[string]*v1.ProwJob{"decorated": decorated, "undecorated": undecorated} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pod.Build(pj); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
