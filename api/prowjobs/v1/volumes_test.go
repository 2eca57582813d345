package v1

import (
	"strings"
	"testing"
)

func TestReservedVolumes(t *testing.T) {
	yes, empty, cookie := true, "", "secret/key"
	const always = "logs code tools gcs-credentials s3-credentials"
	full := &DecorationConfig{
		SSHKeySecrets: []string{"a"}, OauthTokenSecret: &OauthTokenSecret{Name: "oauth"}, GitHubAppPrivateKeySecret: &GitHubAppPrivateKeySecret{Name: "app"},
		CookieFileSecret: &cookie, GitMirrorVolume: &GitMirrorVolume{ClaimName: "m"}, GCSConfiguration: &GCSConfiguration{Bucket: "file:///x"},
	}
	skipping := full.DeepCopy()
	skipping.SkipCloning = &yes
	for sentence, c := range map[string]struct {
		config *DecorationConfig
		want   string
	}{
		"five names for every job":       {nil, always},
		"what cloning needs":             {full, always + " storage clonerefs-tmp ssh-keys-a oauth app cookiefile git-mirrors"},
		"nothing more without cloning":   {skipping, always + " storage"},
		"an empty cookie file is no one": {&DecorationConfig{CookieFileSecret: &empty, GitMirrorVolume: &GitMirrorVolume{}}, always + " clonerefs-tmp"},
	} {
		if got := strings.Join(c.config.ReservedVolumes(), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", sentence, got, c.want)
		}
	}
}

func TestSecretVolume(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "with.dots": "with-dots-"} {
		if got := SecretVolume(in); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s", in, got)
		}
	}
	if SecretVolume("a.b") == SecretVolume("a-b") || SecretVolume("a.b") == SecretVolume("a..b") {
		t.Error("two secrets have one name")
	}
	if long := SSHKeyVolume(strings.Repeat("x", 100)); len(long) != 63 {
		t.Errorf("long name: %s", long)
	}
}

func FuzzParseStoragePath(f *testing.F) {
	for _, seed := range []string{"b", "gs://b/dir", "s3://x", "file:///var/x", "gs://my-floppy-backup/a://doom2.wad.006", "://b", "gs://b?q=1#f", "gs://[::1", "%zz", "a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bucket string) {
		p, err := ParseStoragePath(bucket)
		if err != nil {
			if !strings.Contains(err.Error(), "bucket") {
				t.Errorf("%q: the error does not say what is wrong: %v", bucket, err)
			}
			return
		}
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			t.Errorf("%q: path %q", bucket, p.Path)
		}
		// A name without a scheme is a GCS bucket, however it is written.
		if !strings.Contains(bucket, "://") {
			if q, err := ParseStoragePath("gs://" + bucket); err != nil || p != q {
				t.Errorf("%q: %+v, with its scheme %+v, %v", bucket, p, q, err)
			}
		}
		if p.FullPath() != p.Bucket+p.Path || !strings.HasPrefix(p.String(), p.Provider+"://") {
			t.Errorf("%q: %+v", bucket, p)
		}
	})
}
