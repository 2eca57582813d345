package storagetest

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// GCSBucket is the bucket of a GCS server.
const GCSBucket = "test-bucket"

const (
	gcsEmail = "prow@test.iam.gserviceaccount.com"
	gcsToken = "token-of-the-service-account"
	// chunkUnit is what all chunks but the last are a multiple of, in bytes.
	chunkUnit = 256 << 10
)

// GCS is a server with one bucket that speaks the JSON API of GCS. It gives tokens
// for assertions signed with the key of its service account, and wants to see them.
type GCS struct {
	Faulty
	URL string
	// Anonymous lets requests without a token pass.
	Anonymous bool
	// Partial makes the server keep only so many bytes of each chunk, if not 0.
	Partial int
	// Damage spoils what is stored.
	Damage bool

	key      *rsa.PrivateKey
	objects  objects
	mu       sync.Mutex
	sessions map[string]*session
	ids      int
	tokens   int
}

type session struct {
	query    url.Values
	resource gcsResource
	content  []byte
	stored   *stored
}

type gcsResource struct {
	Name            string            `json:"name"`
	Bucket          string            `json:"bucket"`
	Size            string            `json:"size"`
	Generation      string            `json:"generation"`
	Updated         string            `json:"updated"`
	ContentType     string            `json:"contentType,omitempty"`
	ContentEncoding string            `json:"contentEncoding,omitempty"`
	CacheControl    string            `json:"cacheControl,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
	CRC32C          string            `json:"crc32c"`
}

// NewGCS starts a server.
func NewGCS(t testing.TB) *GCS {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &GCS{key: key, sessions: map[string]*session{}}
	s.Handler = http.HandlerFunc(s.serve)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// ServiceAccount is the credentials file of the server's service account.
func (s *GCS) ServiceAccount(t testing.TB) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "test", "private_key_id": "1", "client_email": gcsEmail,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": s.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Tokens is how many tokens were given out.
func (s *GCS) Tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

func (s *GCS) fail(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":"said by the test","errors":[{"reason":%q}]}}`, status, reason)
}

func (s *GCS) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		s.token(w, r)
		return
	}
	if r.URL.Query().Has("X-Goog-Signature") {
		s.signed(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+gcsToken && !s.Anonymous {
		s.fail(w, http.StatusUnauthorized, "required")
		return
	}
	query := r.URL.Query()
	path := r.URL.EscapedPath()
	if r.URL.Path == "/session" {
		s.chunk(w, r, query.Get("id"))
		return
	}
	isUpload := strings.HasPrefix(path, "/upload/")
	rest, ok := strings.CutPrefix(strings.TrimPrefix(path, "/upload"), "/storage/v1/b/"+GCSBucket+"/o")
	if !ok {
		s.fail(w, http.StatusNotFound, "notFound")
		return
	}
	key, err := url.PathUnescape(strings.TrimPrefix(rest, "/"))
	if err != nil || strings.Contains(strings.TrimPrefix(rest, "/"), "/") {
		s.fail(w, http.StatusBadRequest, "invalid")
		return
	}
	switch {
	case isUpload && r.Method == http.MethodPost && query.Get("uploadType") == "multipart":
		s.putWhole(w, r, query)
	case isUpload && r.Method == http.MethodPost && query.Get("uploadType") == "resumable":
		s.begin(w, r, query)
	case key == "" && r.Method == http.MethodGet:
		s.list(w, query)
	case r.Method == http.MethodGet:
		s.get(w, r, key, query)
	case r.Method == http.MethodPatch:
		s.patch(w, r, key)
	case r.Method == http.MethodDelete:
		if !s.objects.delete(key) {
			s.fail(w, http.StatusNotFound, "notFound")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		s.fail(w, http.StatusMethodNotAllowed, "methodNotAllowed")
	}
}

// token verifies an assertion and gives a token for it.
func (s *GCS) token(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.FormValue("assertion"), ".")
	if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 {
		s.fail(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		s.fail(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Iss, Scope, Aud string }
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Iss != gcsEmail || claims.Aud != s.URL+"/token" || !strings.Contains(claims.Scope, "devstorage") {
		s.fail(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	s.mu.Lock()
	s.tokens++
	s.mu.Unlock()
	answerJSON(w, map[string]any{"access_token": gcsToken, "token_type": "Bearer", "expires_in": 3600})
}

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (s *GCS) describe(key string, o stored) gcsResource {
	return gcsResource{
		Name: key, Bucket: GCSBucket, Size: strconv.FormatInt(o.size, 10), Generation: strconv.FormatInt(o.generation, 10),
		Updated: o.modified.Format(time.RFC3339Nano), ContentType: o.header.Get("Content-Type"), ContentEncoding: o.header.Get("Content-Encoding"),
		CacheControl: o.header.Get("Cache-Control"), Metadata: o.metadata,
		CRC32C: base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(o.content, crc32.MakeTable(crc32.Castagnoli)))),
	}
}

// store makes the object of an upload.
func (s *GCS) store(w http.ResponseWriter, query url.Values, resource gcsResource, content []byte) *stored {
	key := cmp.Or(resource.Name, query.Get("name"))
	header := http.Header{}
	for name, value := range map[string]string{"Content-Type": resource.ContentType, "Content-Encoding": resource.ContentEncoding, "Cache-Control": resource.CacheControl} {
		if value != "" {
			header.Set(name, value)
		}
	}
	if s.Damage && len(content) > 0 {
		content[0] ^= 1
	}
	kept, ok := s.objects.put(key, stored{content: content, header: header, metadata: resource.Metadata}, query.Get("ifGenerationMatch") == "0")
	if !ok {
		s.fail(w, http.StatusPreconditionFailed, "conditionNotMet")
		return nil
	}
	answerJSON(w, s.describe(key, kept))
	return &kept
}

func (s *GCS) putWhole(w http.ResponseWriter, r *http.Request, query url.Values) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/related" {
		s.fail(w, http.StatusBadRequest, "badContent")
		return
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	var resource gcsResource
	first, err := parts.NextPart()
	if err == nil {
		err = json.NewDecoder(first).Decode(&resource)
	}
	var content []byte
	if err == nil {
		var second *multipart.Part
		if second, err = parts.NextPart(); err == nil {
			content, err = io.ReadAll(second)
		}
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, "badContent")
		return
	}
	s.store(w, query, resource, content)
}

func (s *GCS) begin(w http.ResponseWriter, r *http.Request, query url.Values) {
	var resource gcsResource
	if err := json.NewDecoder(r.Body).Decode(&resource); err != nil {
		s.fail(w, http.StatusBadRequest, "badContent")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids++
	id := strconv.Itoa(s.ids)
	s.sessions[id] = &session{query: query, resource: resource}
	w.Header().Set("Location", s.URL+"/session?id="+id)
}

// chunk takes a part of a resumable upload, or tells how far it came.
func (s *GCS) chunk(w http.ResponseWriter, r *http.Request, id string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.sessions[id]
	if up == nil {
		s.fail(w, http.StatusNotFound, "notFound")
		return
	}
	if r.Method == http.MethodDelete {
		delete(s.sessions, id)
		w.WriteHeader(499)
		return
	}
	if up.stored != nil {
		answerJSON(w, s.describe(up.resource.Name, *up.stored))
		return
	}
	span, size, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	if span != "*" {
		var from, to int
		if _, err := fmt.Sscanf(span, "%d-%d", &from, &to); err != nil || to-from+1 != len(body) || from != len(up.content) || (size == "*" && len(body)%chunkUnit != 0) {
			s.fail(w, http.StatusBadRequest, "invalid")
			return
		}
		if s.Partial > 0 && len(body) > s.Partial {
			body, size = body[:s.Partial], "*"
		}
		up.content = append(up.content, body...)
	}
	if size == strconv.Itoa(len(up.content)) {
		up.stored = s.store(w, up.query, up.resource, up.content)
		return
	}
	if len(up.content) > 0 {
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(up.content)-1))
	}
	w.WriteHeader(http.StatusPermanentRedirect)
}

func (s *GCS) get(w http.ResponseWriter, r *http.Request, key string, query url.Values) {
	o, ok := s.objects.get(key)
	if !ok || (query.Has("generation") && query.Get("generation") != strconv.FormatInt(o.generation, 10)) {
		s.fail(w, http.StatusNotFound, "notFound")
		return
	}
	if query.Get("alt") != "media" {
		answerJSON(w, s.describe(key, o))
		return
	}
	s.content(w, r, o)
}

// patch changes metadata: null takes a key away.
func (s *GCS) patch(w http.ResponseWriter, r *http.Request, key string) {
	var change struct {
		Metadata map[string]*string `json:"metadata"`
	}
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		s.fail(w, http.StatusBadRequest, "invalid")
		return
	}
	o, ok := s.objects.describe(key, change.Metadata)
	if !ok {
		s.fail(w, http.StatusNotFound, "notFound")
		return
	}
	answerJSON(w, s.describe(key, o))
}

func (s *GCS) content(w http.ResponseWriter, r *http.Request, o stored) {
	for name, values := range o.header {
		w.Header()[name] = values
	}
	w.Header().Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
	if r.Header.Get("Range") == "" {
		w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10))
	}
	http.ServeContent(w, r, "", o.modified, bytes.NewReader(o.content))
}

func (s *GCS) list(w http.ResponseWriter, query url.Values) {
	limit, _ := strconv.Atoi(cmp.Or(query.Get("maxResults"), "1000"))
	after, err := hex.DecodeString(query.Get("pageToken"))
	if err != nil {
		s.fail(w, http.StatusBadRequest, "invalid")
		return
	}
	keys, dirs, next := s.objects.list(query.Get("prefix"), query.Get("delimiter"), string(after), limit)
	page := struct {
		Items         []gcsResource `json:"items,omitempty"`
		Prefixes      []string      `json:"prefixes,omitempty"`
		NextPageToken string        `json:"nextPageToken,omitempty"`
	}{Prefixes: dirs, NextPageToken: hex.EncodeToString([]byte(next))}
	for _, key := range keys {
		o, _ := s.objects.get(key)
		page.Items = append(page.Items, s.describe(key, o))
	}
	answerJSON(w, page)
}

// signed serves a signed URL whose signature is right.
func (s *GCS) signed(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	signature, err := hex.DecodeString(query.Get("X-Goog-Signature"))
	query.Del("X-Goog-Signature")
	date := query.Get("X-Goog-Date")
	email, scope, _ := strings.Cut(query.Get("X-Goog-Credential"), "/")
	canonical := strings.Join([]string{r.Method, r.URL.EscapedPath(), strings.ReplaceAll(query.Encode(), "+", "%20"), "host:" + r.Host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	digest := sha256.Sum256([]byte("GOOG4-RSA-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(hash[:])))
	key, ok := strings.CutPrefix(r.URL.Path, "/"+GCSBucket+"/")
	o, found := s.objects.get(key)
	at, dateErr := time.Parse("20060102T150405Z", date)
	seconds, _ := strconv.Atoi(query.Get("X-Goog-Expires"))
	switch {
	case err != nil, dateErr != nil, email != gcsEmail, rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], signature) != nil:
		s.fail(w, http.StatusForbidden, "SignatureDoesNotMatch")
	case time.Since(at) > time.Duration(seconds)*time.Second:
		s.fail(w, http.StatusBadRequest, "ExpiredToken")
	case !ok || !found:
		s.fail(w, http.StatusNotFound, "NoSuchKey")
	default:
		s.content(w, r, o)
	}
}
