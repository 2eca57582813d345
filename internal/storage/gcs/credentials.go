package gcs

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"prow/internal/storage/wire"
)

const (
	// scope is what tokens are asked for.
	scope = "https://www.googleapis.com/auth/devstorage.full_control"
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 30 * time.Second
	// maxCredentials bounds a credentials file, in bytes.
	maxCredentials = 1 << 20
)

// kinds are the credentials that a file may hold.
var kinds = map[string]google.CredentialsType{
	"service_account":                  google.ServiceAccount,
	"authorized_user":                  google.AuthorizedUser,
	"external_account":                 google.ExternalAccount,
	"external_account_authorized_user": google.ExternalAccountAuthorizedUser,
	"impersonated_service_account":     google.ImpersonatedServiceAccount,
}

// credentials get tokens, and sign URLs where they can.
type credentials struct {
	file    string
	ambient bool
	client  *http.Client

	mu     sync.Mutex
	loaded bool
	source oauth2.TokenSource // nil for none
}

// load finds the credentials, once; a wrong file is noticed at once.
func (c *credentials) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return nil
	}
	// Tokens outlive the request that wanted the first.
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, c.client)
	switch {
	case c.file != "":
		content, kind, err := readFile(c.file)
		if err != nil {
			return err
		}
		found, err := google.CredentialsFromJSONWithType(ctx, content, kind, scope)
		if err != nil {
			return fmt.Errorf("GCS credentials %s: %w", c.file, err)
		}
		c.source = found.TokenSource
	case c.ambient:
		found, err := google.FindDefaultCredentials(ctx, scope)
		if path := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); err != nil && path != "" {
			return fmt.Errorf("GCS credentials of GOOGLE_APPLICATION_CREDENTIALS: %w", err)
		}
		if err == nil {
			c.source = found.TokenSource
		}
	}
	c.loaded = true
	return nil
}

func readFile(file string) (content []byte, kind google.CredentialsType, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, "", fmt.Errorf("GCS credentials: %w", err)
	}
	defer f.Close()
	content, err = io.ReadAll(io.LimitReader(f, maxCredentials))
	if err != nil {
		return nil, "", fmt.Errorf("GCS credentials: %w", err)
	}
	var head struct{ Type string }
	// The words of the error may quote a key.
	if json.Unmarshal(content, &head) != nil {
		return nil, "", fmt.Errorf("GCS credentials: %s is no JSON object", file)
	}
	kind, ok := kinds[head.Type]
	if !ok {
		return nil, "", fmt.Errorf("GCS credentials: %s has the unknown type %q", file, head.Type)
	}
	return content, kind, nil
}

// authorize adds a token to a request, if there are credentials.
func (c *credentials) authorize(req *http.Request) error {
	if c.source == nil {
		return nil
	}
	token, err := c.source.Token()
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 && refused.Response.StatusCode != http.StatusTooManyRequests {
			err = wire.Final(err)
		}
		return fmt.Errorf("getting a token for GCS: %w", err)
	}
	token.SetAuthHeader(req)
	return nil
}

// signedURL is a V4 signature with the key of a service account.
func (c *credentials) signedURL(host, path string, now time.Time, expires time.Duration) (string, error) {
	content, kind, err := readFile(c.file)
	if err != nil {
		return "", err
	}
	if kind != google.ServiceAccount {
		return "", fmt.Errorf("only a service_account can sign URLs, and %s holds an %s", c.file, kind)
	}
	var account struct {
		PrivateKey  string `json:"private_key"`
		ClientEmail string `json:"client_email"`
	}
	if json.Unmarshal(content, &account) != nil || account.ClientEmail == "" {
		return "", fmt.Errorf("GCS credentials: %s has no client_email", c.file)
	}
	key, err := parseKey(account.PrivateKey)
	if err != nil {
		return "", fmt.Errorf("GCS credentials %s: %w", c.file, err)
	}
	now = now.UTC()
	date := now.Format("20060102")
	query := url.Values{
		"X-Goog-Algorithm":     {"GOOG4-RSA-SHA256"},
		"X-Goog-Credential":    {account.ClientEmail + "/" + date + "/auto/storage/goog4_request"},
		"X-Goog-Date":          {now.Format("20060102T150405Z")},
		"X-Goog-Expires":       {strconv.FormatInt(int64(expires/time.Second), 10)},
		"X-Goog-SignedHeaders": {"host"},
	}
	canonicalQuery := strings.ReplaceAll(query.Encode(), "+", "%20")
	canonical := strings.Join([]string{http.MethodGet, path, canonicalQuery, "host:" + host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"GOOG4-RSA-SHA256", now.Format("20060102T150405Z"), date + "/auto/storage/goog4_request", hex.EncodeToString(hash[:])}, "\n")
	digest := sha256.Sum256([]byte(toSign))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return "https://" + host + path + "?" + canonicalQuery + "&X-Goog-Signature=" + hex.EncodeToString(signature), nil
}

func parseKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("its private_key is no PEM block")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("its private_key can be read neither as PKCS 1 nor as PKCS 8")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("its private_key is no RSA key")
	}
	return key, nil
}
