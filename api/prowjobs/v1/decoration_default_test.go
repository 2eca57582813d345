package v1

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fullDecoration sets every field, so that a field forgotten in the merge is noticed.
func fullDecoration(mark string, n int64) *DecorationConfig {
	yes, size, length := true, int(n), int(n)
	memory := resource.MustParse("4Gi")
	limits := &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: memory}}
	return &DecorationConfig{
		Timeout: &Duration{time.Hour}, GracePeriod: &Duration{time.Minute},
		UtilityImages:        &UtilityImages{CloneRefs: mark, InitUpload: mark, Entrypoint: mark, Sidecar: mark},
		Resources:            &Resources{CloneRefs: limits, InitUpload: limits, PlaceEntrypoint: limits, Sidecar: limits},
		GCSConfiguration:     &GCSConfiguration{Bucket: mark, PathPrefix: mark, PathStrategy: mark, DefaultOrg: mark, DefaultRepo: mark, MediaTypes: map[string]string{mark: "text/plain"}, JobURLPrefix: mark, LocalOutputDir: mark, CompressFileTypes: []string{mark}},
		GCSCredentialsSecret: &mark, S3CredentialsSecret: &mark, DefaultServiceAccountName: &mark,
		SSHKeySecrets: []string{mark}, SSHHostFingerprints: []string{mark}, BloblessFetch: &yes, SparseCheckoutFiles: []string{mark}, SparseCheckout: []string{mark},
		GitMirrorVolume: &GitMirrorVolume{HostPath: mark, ClaimName: mark}, LogChunkInterval: &Duration{time.Minute},
		SkipCloning: &yes, CookieFileSecret: &mark, OauthTokenSecret: &OauthTokenSecret{Name: mark, Key: mark},
		GitHubAPIEndpoints: []string{mark}, GitHubAppID: mark, GitHubAppPrivateKeySecret: &GitHubAppPrivateKeySecret{Name: mark, Key: mark},
		CensorSecrets: &yes, CensoringOptions: &CensoringOptions{CensoringConcurrency: &n, CensoringBufferSize: &size, IncludeDirectories: []string{mark}, ExcludeDirectories: []string{mark}, IniFilenames: []string{mark}, MinimumSecretLength: &length},
		UploadIgnoresInterrupts: &yes, SetLimitEqualsMemoryRequest: &yes, DefaultMemoryRequest: &memory,
		SchedulingOptions: &SchedulingOptions{Affinity: &corev1.Affinity{}, Tolerations: []corev1.Toleration{{Key: mark}}},
		PodPendingTimeout: &metav1.Duration{Duration: time.Hour}, PodRunningTimeout: &metav1.Duration{Duration: time.Hour}, PodUnscheduledTimeout: &metav1.Duration{Duration: time.Hour},
		RunAsUser: &n, RunAsGroup: &n, FSGroup: &n,
	}
}

func TestApplyDefaultFillsEveryField(t *testing.T) {
	def := fullDecoration("default", 1)
	requireNoZeroField(t, reflect.ValueOf(*def), "DecorationConfig")
	if diff := cmp.Diff(def, (&DecorationConfig{}).ApplyDefault(def)); diff != "" {
		t.Errorf("an empty config takes every default (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(def, (*DecorationConfig)(nil).ApplyDefault(def)); diff != "" {
		t.Errorf("no config takes every default (-want +got):\n%s", diff)
	}
	// Nested structs that are set but empty are filled field by field.
	hollow := &DecorationConfig{UtilityImages: &UtilityImages{}, Resources: &Resources{}, GCSConfiguration: &GCSConfiguration{}, CensoringOptions: &CensoringOptions{}, SchedulingOptions: &SchedulingOptions{}}
	if diff := cmp.Diff(def, hollow.ApplyDefault(def)); diff != "" {
		t.Errorf("empty nested structs take every default (-want +got):\n%s", diff)
	}
}

func TestApplyDefaultKeepsWhatIsSet(t *testing.T) {
	own, def := fullDecoration("own", 1), fullDecoration("default", 2)
	want := own.DeepCopy()
	want.GCSConfiguration.MediaTypes["default"] = "text/plain"
	if diff := cmp.Diff(want, own.ApplyDefault(def)); diff != "" {
		t.Errorf("set fields stay (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(own, own.ApplyDefault(nil)); diff != "" {
		t.Errorf("without defaults nothing changes (-want +got):\n%s", diff)
	}
}

func TestApplyDefaultRules(t *testing.T) {
	empty, no, name, yes := "", false, "name", true
	for sentence, c := range map[string]struct{ own, def, want *DecorationConfig }{
		"nothing and nothing is nothing": {},
		"an empty string that is set keeps the default away": {
			own:  &DecorationConfig{GCSCredentialsSecret: &empty, SkipCloning: &no},
			def:  &DecorationConfig{GCSCredentialsSecret: &name, SkipCloning: &yes},
			want: &DecorationConfig{GCSCredentialsSecret: &empty, SkipCloning: &no},
		},
		"an empty list takes the default, but not in censoring": {
			own:  &DecorationConfig{SSHKeySecrets: []string{}, CensoringOptions: &CensoringOptions{IncludeDirectories: []string{}}},
			def:  &DecorationConfig{SSHKeySecrets: []string{"a"}, CensoringOptions: &CensoringOptions{IncludeDirectories: []string{"x"}, ExcludeDirectories: []string{"y"}}},
			want: &DecorationConfig{SSHKeySecrets: []string{"a"}, CensoringOptions: &CensoringOptions{IncludeDirectories: []string{}, ExcludeDirectories: []string{"y"}}},
		},
		"an empty list of types to compress keeps the default away": {
			own:  &DecorationConfig{GCSConfiguration: &GCSConfiguration{CompressFileTypes: []string{}}},
			def:  &DecorationConfig{GCSConfiguration: &GCSConfiguration{CompressFileTypes: []string{"txt"}}},
			want: &DecorationConfig{GCSConfiguration: &GCSConfiguration{CompressFileTypes: []string{}}},
		},
		"a token secret is replaced as a whole": {
			own:  &DecorationConfig{OauthTokenSecret: &OauthTokenSecret{Name: "mine"}},
			def:  &DecorationConfig{OauthTokenSecret: &OauthTokenSecret{Name: "theirs", Key: "key"}},
			want: &DecorationConfig{OauthTokenSecret: &OauthTokenSecret{Name: "mine"}},
		},
		"who restricts the work tree one way is not given the other": {
			own:  &DecorationConfig{SparseCheckout: []string{"cmd"}},
			def:  &DecorationConfig{SparseCheckoutFiles: []string{"/Makefile"}},
			want: &DecorationConfig{SparseCheckout: []string{"cmd"}},
		},
		"an empty mirror volume keeps the default away": {
			own:  &DecorationConfig{GitMirrorVolume: &GitMirrorVolume{}},
			def:  &DecorationConfig{GitMirrorVolume: &GitMirrorVolume{HostPath: "/mirrors"}},
			want: &DecorationConfig{GitMirrorVolume: &GitMirrorVolume{}},
		},
		"the default's media type wins": {
			own:  &DecorationConfig{GCSConfiguration: &GCSConfiguration{MediaTypes: map[string]string{"log": "a/own", "x": "a/x"}}},
			def:  &DecorationConfig{GCSConfiguration: &GCSConfiguration{MediaTypes: map[string]string{"log": "a/default"}}},
			want: &DecorationConfig{GCSConfiguration: &GCSConfiguration{MediaTypes: map[string]string{"log": "a/default", "x": "a/x"}}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.own.ApplyDefault(c.def)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyDefaultSharesNothing(t *testing.T) {
	own, def := &DecorationConfig{UtilityImages: &UtilityImages{CloneRefs: "own"}}, fullDecoration("default", 1)
	merged := own.ApplyDefault(def)
	merged.GCSConfiguration.MediaTypes["x"] = "changed"
	merged.SSHKeySecrets[0] = "changed"
	*merged.GCSCredentialsSecret = "changed"
	merged.UtilityImages.CloneRefs = "changed"
	if diff := cmp.Diff(fullDecoration("default", 1), def); diff != "" {
		t.Errorf("the default changed:\n%s", diff)
	}
	if own.UtilityImages.CloneRefs != "own" {
		t.Error("the config changed")
	}
}

func TestDecorationValidate(t *testing.T) {
	valid := func() *DecorationConfig {
		return &DecorationConfig{
			UtilityImages:    &UtilityImages{CloneRefs: "a", InitUpload: "b", Entrypoint: "c", Sidecar: "d"},
			GCSConfiguration: &GCSConfiguration{Bucket: "b", PathStrategy: "explicit"},
		}
	}
	for sentence, c := range map[string]struct {
		change func(*DecorationConfig)
		want   string
	}{
		"four images and a storage are enough": {func(*DecorationConfig) {}, ""},
		"missing images are listed":            {func(d *DecorationConfig) { d.UtilityImages.InitUpload, d.UtilityImages.Sidecar = "", "" }, "utility_images: no image for initupload, sidecar"},
		"no images":                            {func(d *DecorationConfig) { d.UtilityImages = nil }, "no image for clonerefs, initupload, entrypoint, sidecar"},
		"no storage":                           {func(d *DecorationConfig) { d.GCSConfiguration = nil }, "gcs_configuration is missing"},
		"a bucket that is no URL":              {func(d *DecorationConfig) { d.GCSConfiguration.Bucket = "://bucket" }, `bucket "://bucket"`},
		"a media type that does not parse":     {func(d *DecorationConfig) { d.GCSConfiguration.MediaTypes = map[string]string{"log": "text/"} }, `"text/" for extension "log"`},
		"an unknown strategy":                  {func(d *DecorationConfig) { d.GCSConfiguration.PathStrategy = "odd" }, `path_strategy is "odd"`},
		"legacy without a default repository": {func(d *DecorationConfig) {
			d.GCSConfiguration.PathStrategy, d.GCSConfiguration.DefaultOrg = "legacy", "o"
		}, "needs both"},
		"single with a default repository": {func(d *DecorationConfig) {
			d.GCSConfiguration.PathStrategy, d.GCSConfiguration.DefaultOrg, d.GCSConfiguration.DefaultRepo = "single", "o", "r"
		}, ""},
		"token and keys": {func(d *DecorationConfig) {
			d.OauthTokenSecret, d.SSHKeySecrets = &OauthTokenSecret{}, []string{"k"}
		}, "oauth_token_secret and ssh_key_secrets exclude each other"},
		"directories and patterns": {func(d *DecorationConfig) {
			d.SparseCheckout, d.SparseCheckoutFiles = []string{"cmd"}, []string{"/Makefile"}
		}, "sparse_checkout and sparse_checkout_files exclude each other"},
		"directories are sparse":           {func(d *DecorationConfig) { d.SparseCheckout = []string{"cmd/prow/", "docs"} }, ""},
		"a pattern is no directory":        {func(d *DecorationConfig) { d.SparseCheckout = []string{"*.go"} }, `sparse_checkout: "*.go" is a pattern`},
		"a flag is no directory":           {func(d *DecorationConfig) { d.SparseCheckout = []string{"--stdin"} }, `sparse_checkout: "--stdin"`},
		"a directory of another tree":      {func(d *DecorationConfig) { d.SparseCheckout = []string{"a/../../b"} }, "not a directory of the repository"},
		"the root is no directory to name": {func(d *DecorationConfig) { d.SparseCheckout = []string{"/"} }, "not a directory of the repository"},
		"mirrors in a directory":           {func(d *DecorationConfig) { d.GitMirrorVolume = &GitMirrorVolume{HostPath: "/mirrors"} }, ""},
		"mirrors at two places":            {func(d *DecorationConfig) { d.GitMirrorVolume = &GitMirrorVolume{"/mirrors", "claim"} }, "git_mirror_volume: host_path and claim_name"},
		"mirrors at a relative place":      {func(d *DecorationConfig) { d.GitMirrorVolume = &GitMirrorVolume{HostPath: "mirrors"} }, "must be absolute"},
		"log chunks every minute":          {func(d *DecorationConfig) { d.LogChunkInterval = &Duration{time.Minute} }, ""},
		"no log chunks":                    {func(d *DecorationConfig) { d.LogChunkInterval = &Duration{} }, ""},
		"log chunks too often":             {func(d *DecorationConfig) { d.LogChunkInterval = &Duration{time.Millisecond} }, "log_chunk_interval is 1ms"},
	} {
		t.Run(sentence, func(t *testing.T) {
			d := valid()
			c.change(d)
			err := d.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestParseStoragePath(t *testing.T) {
	for in, want := range map[string]StoragePath{
		"prow-artifacts": {"gs", "prow-artifacts", ""},
		"gs://my-floppy-backup/a://doom2.wad.006": {"gs", "my-floppy-backup", "/a://doom2.wad.006"},
		"s3://x":              {"s3", "x", ""},
		"s3://x/dir/":         {"s3", "x", "/dir/"},
		"file:///var/storage": {"file", "", "/var/storage"},
	} {
		got, err := ParseStoragePath(in)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", in, got, err, want)
		}
	}
	if _, err := ParseStoragePath("://bucket"); err == nil {
		t.Error("a missing scheme is an error")
	}
}

func requireNoZeroField(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for i := range v.NumField() {
		field, name := v.Field(i), path+"."+v.Type().Field(i).Name
		if field.IsZero() {
			t.Fatalf("%s is not set: the test must set every field", name)
		}
		if field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Struct && field.Elem().Type().PkgPath() == v.Type().PkgPath() && field.Elem().Type().Name() != "Duration" {
			requireNoZeroField(t, field.Elem(), name)
		}
	}
}
