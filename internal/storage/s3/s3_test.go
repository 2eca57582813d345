package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/storagetest"
	"prow/internal/storage/wire"
)

func config(server *storagetest.S3) *Config {
	return &Config{Endpoint: server.URL, Region: storagetest.S3Region, PathStyle: true, AccessKey: storagetest.S3AccessKey, SecretKey: storagetest.S3SecretKey}
}

// open opens the bucket of a server, with hardly any waits.
func open(t testing.TB, server *storagetest.S3, c *Config) *Bucket {
	t.Helper()
	client := wire.NewClient(wire.NewTransport(c.tls()))
	client.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	b, err := Open(storagetest.S3Bucket, c, client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.HTTP.CloseIdleConnections)
	return b
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		server := storagetest.NewS3(t)
		return open(t, server, config(server))
	})
}

func TestConformanceUnderFaults(t *testing.T) {
	storagetest.RunFaults(t, func(t *testing.T) (storage.Bucket, *storagetest.Faulty) {
		server := storagetest.NewS3(t)
		b := open(t, server, config(server))
		b.client.Stall = 300 * time.Millisecond
		t.Cleanup(func() {
			if n := server.Uploads(); n > 0 {
				t.Errorf("%d uploads are left behind", n)
			}
		})
		return b, &server.Faulty
	})
}

func TestConditionalWritesWhereTheServiceHasNone(t *testing.T) {
	server := storagetest.NewS3(t)
	server.Unconditional = true
	b := open(t, server, config(server))
	if err := b.Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{IfNotExist: true}); err != nil {
		t.Error(err)
	}
	if err := b.Put(t.Context(), "x", strings.NewReader("y"), storage.PutOptions{IfNotExist: true}); err == nil {
		t.Error("the object is there already")
	}
}

func TestTheRegionIsLearnt(t *testing.T) {
	server := storagetest.NewS3(t)
	c := config(server)
	c.Region = ""
	b := open(t, server, c)
	if err := b.Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := b.inRegion(); got != storagetest.S3Region {
		t.Errorf("got %s", got)
	}
}

func TestWrongKeysAreFinal(t *testing.T) {
	server := storagetest.NewS3(t)
	c := config(server)
	c.SecretKey = "wrong"
	b := open(t, server, c)
	b.client.Wait = func(context.Context, time.Duration) error {
		t.Error("it was tried again")
		return nil
	}
	err := b.Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{})
	if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
}

func TestSignedURL(t *testing.T) {
	server := storagetest.NewS3(t)
	b := open(t, server, config(server))
	if err := b.Put(t.Context(), "a dir/ü#?.txt", strings.NewReader("hello"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	signed, err := b.SignedURL(t.Context(), "a dir/ü#?.txt", 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(signed) //nolint:noctx // as a browser would
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || string(body) != "hello" {
		t.Errorf("%s: %s %s %v", signed, resp.Status, body, err)
	}
}

func TestWhereABucketIs(t *testing.T) {
	for sentence, c := range map[string]struct {
		config Config
		bucket string
		want   string
	}{
		"in AWS":                          {Config{}, "bucket", "https://bucket.s3.us-east-1.amazonaws.com/a%20b/c"},
		"in AWS, in China":                {Config{Region: "cn-north-1"}, "bucket", "https://bucket.s3.cn-north-1.amazonaws.com.cn/a%20b/c"},
		"names with dots fit no host":     {Config{}, "some.bucket", "https://s3.us-east-1.amazonaws.com/some.bucket/a%20b/c"},
		"elsewhere":                       {Config{Endpoint: "https://s3.example.com"}, "bucket", "https://bucket.s3.example.com/a%20b/c"},
		"elsewhere, in the path":          {Config{Endpoint: "https://s3.example.com", PathStyle: true}, "bucket", "https://s3.example.com/bucket/a%20b/c"},
		"an address has no sub-domains":   {Config{Endpoint: "http://10.0.0.1:9000"}, "bucket", "http://10.0.0.1:9000/bucket/a%20b/c"},
		"an endpoint below a path":        {Config{Endpoint: "http://x/s3/", PathStyle: true}, "bucket", "http://x/s3/bucket/a%20b/c"},
		"an endpoint without its scheme":  {Config{Endpoint: "minio.example.com:9000", PathStyle: true}, "bucket", "https://minio.example.com:9000/bucket/a%20b/c"},
		"a region that the file mentions": {Config{Region: "eu-west-1"}, "bucket", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c"},
	} {
		b, err := Open(c.bucket, &c.config, nil)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		if got, err := b.url(b.region, "a b/c", nil); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", sentence, got, err, c.want)
		}
	}
	for _, bad := range []Config{{Endpoint: "ftp://x"}, {Endpoint: "http://"}, {Endpoint: "http://a b"}} {
		if _, err := Open("bucket", &bad, nil); err == nil {
			t.Errorf("%s must be an error", bad.Endpoint)
		}
	}
}

// clearEnvironment hides the credentials of this machine.
func clearEnvironment(t *testing.T) {
	for _, name := range os.Environ() {
		if name, _, _ = strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestCredentials(t *testing.T) {
	clearEnvironment(t)
	server := storagetest.NewS3(t)
	file := filepath.Join(t.TempDir(), "service-account.json")
	write := func(value any) {
		t.Helper()
		content, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	try := func(file string) error {
		b, err := Provider(Options{CredentialsFile: file})(t.Context(), storage.Location{Bucket: storagetest.S3Bucket})
		if err != nil {
			return err
		}
		return b.Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{})
	}
	t.Run("of a file", func(t *testing.T) {
		write(config(server))
		if err := try(file); err != nil {
			t.Error(err)
		}
	})
	t.Run("of the environment, which fills what the file leaves open", func(t *testing.T) {
		c := config(server)
		c.SecretKey, c.Region = "", "" // one key alone does not count
		write(c)
		t.Setenv("AWS_ACCESS_KEY_ID", storagetest.S3AccessKey)
		t.Setenv("AWS_SECRET_ACCESS_KEY", storagetest.S3SecretKey)
		t.Setenv("AWS_REGION", storagetest.S3Region)
		if err := try(file); err != nil {
			t.Error(err)
		}
		t.Setenv("AWS_ENDPOINT_URL", server.URL)
		if err := try(""); err != nil {
			t.Error(err)
		}
	})
	t.Run("of the shared file of the AWS tools", func(t *testing.T) {
		c := config(server)
		c.AccessKey = ""
		write(c)
		shared := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(shared, fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", storagetest.S3AccessKey, storagetest.S3SecretKey), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", shared)
		if err := try(file); err != nil {
			t.Error(err)
		}
	})
	t.Run("of a pod's identity", func(t *testing.T) {
		sts := storagetest.NewSTS(t)
		c := config(server)
		c.AccessKey = ""
		write(c)
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte(storagetest.STSToken), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/prow")
		k := newKeys(&Config{})
		k.client = &http.Client{Transport: sts}
		value, err := k.get(t.Context())
		if err != nil || value.AccessKeyID != storagetest.S3AccessKey || value.SecretAccessKey != storagetest.S3SecretKey {
			t.Errorf("got %+v, %v", value, err)
		}
		if err := os.WriteFile(token, []byte("forged"), 0o600); err != nil {
			t.Fatal(err)
		}
		k = newKeys(&Config{})
		k.client = &http.Client{Transport: sts}
		if _, err := k.get(t.Context()); err == nil || !strings.Contains(err.Error(), "AWS_WEB_IDENTITY_TOKEN_FILE") {
			t.Errorf("an identity that is refused must not end in anonymous requests: %v", err)
		}
	})
	t.Run("of a broken file", func(t *testing.T) {
		for content, want := range map[string]string{`{"access_key": tops3cret}`: "at byte", `{"insecure":"yes"}`: `"insecure" should be a bool`, "": "at byte"} {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := try(file); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "tops3cret") {
				t.Errorf("%s: got %v", content, err)
			}
		}
		if err := try(filepath.Join(t.TempDir(), "missing")); err == nil {
			t.Error("a missing file must be an error")
		}
	})
}

func TestCertificates(t *testing.T) {
	plain := storagetest.NewS3(t)
	server := httptest.NewTLSServer(plain)
	t.Cleanup(server.Close)
	for insecure, want := range map[bool]string{true: "", false: "certificate"} {
		c := config(plain)
		c.Endpoint, c.Insecure = server.URL, insecure
		err := open(t, plain, c).Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{})
		if (err == nil) != insecure || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("insecure: %t: %v", insecure, err)
		}
	}
}
