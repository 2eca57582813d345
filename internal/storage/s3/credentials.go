package s3

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Config is the content of a credentials file. The zero value means AWS, with
// the credentials of the machine.
type Config struct {
	Region string `json:"region"`
	// Endpoint replaces that of AWS; without a scheme it is https.
	Endpoint string `json:"endpoint"`
	// Insecure accepts any certificate.
	Insecure bool `json:"insecure"`
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool `json:"s3_force_path_style"`
	// AccessKey and SecretKey count only together; SessionToken goes with them.
	AccessKey    string `json:"access_key"`
	SecretKey    string `json:"secret_key"`
	SessionToken string `json:"session_token"`
}

// maxConfig bounds a credentials file, in bytes.
const maxConfig = 1 << 20

// LoadConfig reads a credentials file, and fills what it leaves open from the
// variables of the AWS tools: AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3
// and AWS_ENDPOINT_URL. Without a file only they count.
func LoadConfig(file string) (*Config, error) {
	config := &Config{}
	if file != "" {
		content, err := readSmall(file)
		if err != nil {
			return nil, fmt.Errorf("reading the S3 credentials: %w", err)
		}
		if err := json.Unmarshal(content, config); err != nil {
			// The words of the error may quote a key; its place will do.
			return nil, fmt.Errorf("reading the S3 credentials: %s is not the JSON object it should be%s", file, place(err))
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if config.Region == "" {
			config.Region = os.Getenv(name)
		}
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if config.Endpoint == "" {
			config.Endpoint = os.Getenv(name)
		}
	}
	return config, nil
}

func readSmall(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("%s is longer than %d bytes", file, maxConfig)
	}
	return os.ReadFile(file)
}

func place(err error) string {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf(": the mistake is at byte %d", syntax.Offset)
	case errors.As(err, &wrong):
		return fmt.Sprintf(": %q should be a %s", wrong.Field, wrong.Type)
	}
	return ""
}

// endpoint is the URL of the service in a region, without a path.
func (c *Config) endpoint(region string) (*url.URL, error) {
	text := c.Endpoint
	switch {
	case text == "":
		suffix := ""
		if strings.HasPrefix(region, "cn-") {
			suffix = ".cn"
		}
		text = "https://s3." + region + ".amazonaws.com" + suffix
	case !strings.Contains(text, "://"):
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the S3 endpoint: %w", err)
	}
	if u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("the S3 endpoint %q is no http or https URL", c.Endpoint)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

func (c *Config) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure} //nolint:gosec // asked for by whoever wrote the file
}

// keys finds and refreshes what requests are signed with.
type keys struct {
	static *credentials.Value
	client *http.Client

	mu    sync.Mutex
	found *credentials.Credentials
}

// ambientTimeout bounds one request for credentials of the machine.
const ambientTimeout = 10 * time.Second

func newKeys(c *Config) *keys {
	k := &keys{client: &http.Client{Timeout: ambientTimeout}}
	if c.AccessKey != "" && c.SecretKey != "" {
		k.static = &credentials.Value{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.SessionToken}
	}
	return k
}

// get returns the keys, or nil where nobody gives any and requests go unsigned.
// The order is that of the AWS tools: environment, shared credentials file, and
// then the identity of the pod, container or machine.
func (k *keys) get(ctx context.Context) (*credentials.Value, error) {
	if k.static != nil {
		return k.static, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	with := &credentials.CredContext{Client: k.client, Context: ctx}
	if k.found != nil {
		value, err := k.found.GetWithContext(with)
		return &value, err
	}
	// The first two cannot fail but by being absent.
	for _, provider := range []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}} {
		candidate := credentials.New(provider)
		if value, err := candidate.GetWithContext(with); err == nil && value.AccessKeyID != "" {
			k.found = candidate
			return &value, nil
		}
	}
	machine := credentials.New(&credentials.IAM{Client: k.client})
	value, err := machine.GetWithContext(with)
	if err == nil && value.AccessKeyID != "" {
		k.found = machine
		return &value, nil
	}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return nil, fmt.Errorf("the credentials that %s promises: %w", name, err)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	k.found = credentials.New(&credentials.Static{}) // there are none, and looking again each time would be slow
	return nil, nil
}
