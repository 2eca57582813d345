package options

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/wrapper"
)

func TestUploadFlags(t *testing.T) {
	var opts Upload
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	opts.Bind(fs)
	if err := fs.Parse([]string{"--gcs-path=gs://bucket/some/prefix/", "--media-type=log:text/plain,x:a/b", "--media-type=y:c/d", "--sub-dir=sub", "item"}); err != nil {
		t.Fatal(err)
	}
	if err := opts.SetItems(fs.Args()); err != nil {
		t.Fatal(err)
	}
	want := Upload{Items: []string{"item"}, SubDir: "sub", DryRun: true, GCSConfiguration: &v1.GCSConfiguration{
		Bucket: "gs://bucket", PathPrefix: "some/prefix", PathStrategy: "explicit", MediaTypes: map[string]string{"log": "text/plain", "x": "a/b", "y": "c/d"},
	}}
	if diff := cmp.Diff(want, opts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fs.SetOutput(new(strings.Builder))
	for _, bad := range []string{"--media-type=nocolon", "--gcs-path=nobucket", "--gcs-path=gs://"} {
		if err := fs.Parse([]string{bad}); err == nil {
			t.Errorf("%s must be an error", bad)
		}
	}
}

func TestUploadValidate(t *testing.T) {
	for sentence, c := range map[string]struct {
		json string
		want string
	}{
		"a bucket and a strategy":              {`{"bucket":"b","path_strategy":"explicit"}`, ""},
		"a local directory needs nothing else": {`{"local_output_dir":"/x"}`, ""},
		"a dry run needs no bucket":            {`{"path_strategy":"explicit","dry_run":true}`, ""},
		"no bucket":                            {`{"path_strategy":"explicit"}`, "no bucket"},
		"no strategy":                          {`{"bucket":"b"}`, "path_strategy"},
		"no default repository":                {`{"bucket":"b","path_strategy":"legacy","default_org":"o"}`, "default_repo"},
		"nothing":                              {`{}`, "not described"},
	} {
		var opts Upload
		if err := json.Unmarshal([]byte(c.json), &opts); err != nil {
			t.Fatal(err)
		}
		if err := opts.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestOlderSidecarOptions(t *testing.T) {
	entry := func(name string) wrapper.Options {
		return wrapper.Options{ContainerName: name, ProcessLog: "/log", MarkerFile: "/marker"}
	}
	var opts Sidecar
	raw := `{"gcs_options":{"bucket":"b","path_strategy":"explicit","dry_run":false},
		"wrapper_options":{"container_name":"old","process_log":"/log","marker_file":"/marker"},
		"entries":[{"container_name":"new","process_log":"/log","marker_file":"/marker"}],
		"secret_directories":["/secret"],"censoring_concurrency":3,"unknown":true}`
	if err := json.Unmarshal([]byte(raw), &opts); err != nil {
		t.Fatal(err)
	}
	if err := opts.Normalize(); err != nil {
		t.Fatal(err)
	}
	if err := opts.Validate(); err != nil {
		t.Error(err)
	}
	three := int64(3)
	want := &Censoring{SecretDirectories: []string{"/secret"}, Concurrency: &three}
	if diff := cmp.Diff(want, opts.CensoringOptions); diff != "" {
		t.Errorf("censoring (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]wrapper.Options{entry("old"), entry("new")}, opts.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	both := Sidecar{DeprecatedSecretDirectories: []string{"/x"}, CensoringOptions: &Censoring{}}
	if err := both.Normalize(); err == nil {
		t.Error("both forms must be an error")
	}
	for sentence, bad := range map[string]Sidecar{
		"no entries": {GCSOptions: opts.GCSOptions},
		"no storage": {Entries: opts.Entries},
		"no marker":  {GCSOptions: opts.GCSOptions, Entries: []wrapper.Options{{ProcessLog: "/log"}}},
	} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%s must be an error", sentence)
		}
	}
}
