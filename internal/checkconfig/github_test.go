package checkconfig

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// hub is a stand-in for GitHub with two orgs. It refuses requests without the
// credentials they need, and counts the others.
type hub struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu    sync.Mutex
	asked map[string]int
}

func newHub(t *testing.T, token string, key *rsa.PrivateKey) *hub {
	h := &hub{key: key, asked: map[string]int{}}
	mux := http.NewServeMux()
	needs := func(want func(r *http.Request) bool, f func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !want(r) {
				http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
				return
			}
			h.mu.Lock()
			h.asked[r.URL.Path]++
			h.mu.Unlock()
			f(w, r)
		}
	}
	withToken := func(r *http.Request) bool {
		org := strings.Split(strings.Trim(r.URL.Path, "/"), "/")[1]
		auth := r.Header.Get("Authorization")
		return token != "" && auth == "Bearer "+token || token == "" && auth == "Bearer token-of-"+org
	}
	asApp := func(r *http.Request) bool { return h.signed(r.Header.Get("Authorization")) }
	mux.Handle("GET /app", needs(asApp, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"slug": "robot"}`))
	}))
	mux.Handle("GET /app/installations", needs(asApp, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`[{"id": 7, "account": {"login": "Org"}}]`))
	}))
	mux.Handle("POST /app/installations/{id}/access_tokens", needs(asApp, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token": "token-of-org", "expires_at": %q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
	}))
	mux.Handle("GET /orgs/org/repos", needs(withToken, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`[{"name": "good"}, {"name": "bad"}, {"name": "old", "archived": true}, {"name": "out"}, {"name": "renamed"}]`))
	}))
	mux.Handle("GET /users/person/repos", needs(withToken, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`[{"name": "theirs"}]`))
	}))
	mux.Handle("GET /repos/other/{repo}", needs(withToken, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"name": %q, "archived": %v}`, r.PathValue("repo"), r.PathValue("repo") == "old")
	}))
	mux.Handle("GET /repos/{org}/{repo}/contents/{file}", needs(withToken, func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("repo") + "/" + r.PathValue("file"); name != "good/OWNERS" && name != "renamed/OTHER" {
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"encoding": "base64", "content": ""}`))
	}))
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

// signed checks the token of an app.
func (h *hub) signed(authorization string) bool {
	parts := strings.Split(strings.TrimPrefix(authorization, "Bearer "), ".")
	if h.key == nil || len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&h.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	return err == nil && json.Unmarshal(raw, &claims) == nil && claims.Iss == "42" && claims.Exp-claims.Iat == 540
}

func (h *hub) flags() []string {
	return []string{"--github-endpoint=" + h.URL, "--github-graphql-endpoint=" + h.URL + "/graphql", "--github-client.initial-delay=1ms", "--github-client.max-retries=2"}
}

const ownersConfig = `
presubmits:
  org/good:
  - {name: a, spec: {containers: [{image: x}]}}
  elsewhere/repo:
  - {name: b, spec: {containers: [{image: x}]}}
tide: {queries: [{repos: [nowhere/repo]}]}
`

const ownersPluginConfig = `
owners: {filenames: {org/renamed: {owners: OTHER, owners_aliases: A}}}
plugins:
  org: {plugins: [approve], excluded_repos: [out]}
  other/old: {plugins: [blunderbuss]}
  other/new: {plugins: [owners-label]}
  third/repo: {plugins: [hold]}
  person: {plugins: [rifle]}
  gone/repo: {plugins: [rifle]}
`

func TestProbeRepositoriesWithoutOwnersAreFoundWithoutRetries(t *testing.T) {
	h := newHub(t, "secret", nil)
	lay(t, map[string]string{"config.yaml": ownersConfig, "plugins.yaml": ownersPluginConfig, "token": "secret\n"})
	args := append(h.flags(), "--config-path=config.yaml", "--plugin-config=plugins.yaml", "--warnings=verify-owners-presence", "--github-token-path=token")
	r := run(t, args...)
	want := `plugins.yaml:4:3: plugins.org: org/bad has no file OWNERS in its root, which the plugins of the repository rely on [verify-owners-presence]
plugins.yaml:6:3: plugins.other/new: other/new has no file OWNERS in its root, which the plugins of the repository rely on [verify-owners-presence]
plugins.yaml:8:3: plugins.person: person/theirs has no file OWNERS in its root, which the plugins of the repository rely on [verify-owners-presence]
plugins.yaml:9:3: plugins.gone/repo: GitHub does not know gone/repo, or hides it from the account that asks [verify-owners-presence]
4 warnings (verify-owners-presence: 4)
`
	if r.status != 0 || r.stdout != want {
		t.Errorf("found %+v, want\n%s", r, want)
	}
	for path, n := range h.asked {
		if n != 1 || strings.Contains(path, "/out/") || strings.Contains(path, "third") {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	if r := run(t, append(args, "--strict")...); r.status != 1 {
		t.Errorf("found %+v", r)
	}
}

func TestProbeCredentialsThatGitHubRefusesAreFatal(t *testing.T) {
	h := newHub(t, "secret", nil)
	lay(t, map[string]string{"config.yaml": ownersConfig, "plugins.yaml": ownersPluginConfig, "token": "wrong\n"})
	r := run(t, append(h.flags(), "--config-path=config.yaml", "--plugin-config=plugins.yaml", "--warnings=verify-owners-presence", "--github-token-path=token")...)
	if r.status != 1 || strings.Contains(r.stderr+r.stdout, "wrong") {
		t.Errorf("found %+v", r)
	}
}

func TestProbeTheAppOfGitHub(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, "", key)
	dir := lay(t, map[string]string{"config.yaml": ownersConfig, "plugins.yaml": "plugins: {org: {plugins: [approve, verify-owners]}}"})
	path := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(h.flags(), "--config-path=config.yaml", "--plugin-config=plugins.yaml", "--github-app-id=42", "--github-app-private-key-path="+path,
		"--github-throttle-org=org:3600:10", "--warnings=verify-owners-presence")
	r := run(t, args...)
	has(t, "the report", r.stdout,
		"plugins.yaml:1:11: plugins.org: org/bad has no file OWNERS",
		"config.yaml:6: the GitHub app 42 is not installed in the org elsewhere",
		"config.yaml:7:18: tide.queries[0]: the GitHub app 42 is not installed in the org nowhere",
		"validate-github-app-installation: 2, verify-owners-presence: 3")
	if r.status != 0 || strings.Contains(r.stdout, "org org, of which org/good") {
		t.Errorf("found %+v", r)
	}
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = run(t, args...)
	if r.status != 1 {
		t.Errorf("found %+v", r)
	}
	has(t, "the error", r.stderr, "--github-app-private-key-path: ", "the private key is not in PEM")
}
