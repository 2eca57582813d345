package clone

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prow/internal/pod/options"
)

func TestGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	authentic := func(w http.ResponseWriter, r *http.Request) bool {
		parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		if len(parts) != 3 {
			http.Error(w, "no assertion", http.StatusUnauthorized)
			return false
		}
		signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil || !strings.Contains(string(claims), `"iss":"1234"`) {
			http.Error(w, "bad assertion", http.StatusUnauthorized)
			return false
		}
		return true
	}
	mux.HandleFunc("GET /orgs/org/installation", func(w http.ResponseWriter, r *http.Request) {
		if authentic(w, r) {
			_, _ = w.Write([]byte(`{"id":77}`))
		}
	})
	mux.HandleFunc("POST /app/installations/77/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		if authentic(w, r) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"token":"ghs_installation_token"}`))
		}
	})
	api := httptest.NewServer(mux)
	defer api.Close()

	s := newServer(t)
	refs := s.refs()
	refs.RepoLink = s.url + "/private/org/repo"
	asApp := func(o *options.Clone) {
		o.GitHubAppID, o.GitHubAppPrivateKeyFile, o.GitHubAPIEndpoints = "1234", keyFile, []string{api.URL}
	}
	records, _ := s.clone(t, asApp, refs)
	if records[1].Failed {
		t.Fatalf("failed: %+v", records[1])
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:ghs_installation_token"))
	if !slices.Contains(s.auth, want) {
		t.Errorf("credentials seen: %v", s.auth)
	}
	if content, _ := json.Marshal(records); strings.Contains(string(content), "ghs_") {
		t.Errorf("the token leaked: %s", content)
	}

	refs.Org = "unknown"
	records, _ = s.clone(t, asApp, refs)
	if !records[1].Failed || !strings.Contains(records[1].Commands[0].Error, "installation of the GitHub App for unknown") {
		t.Errorf("without a token the clone must fail: %+v", records[1])
	}
}
