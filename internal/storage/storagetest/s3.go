package storagetest

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The credentials and the region that an S3 server knows.
const (
	S3AccessKey = "AKIDEXAMPLE"
	S3SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	S3Region    = "eu-test-1"
	S3Bucket    = "test-bucket"
)

// S3 is a server with one bucket that speaks the protocol of S3. It verifies every
// signature and the hash of every body by its own derivation.
type S3 struct {
	Faulty
	URL string
	// Anonymous lets requests without a signature pass.
	Anonymous bool
	// Unconditional refuses conditional writes, as older services do.
	Unconditional bool

	objects objects
	mu      sync.Mutex
	uploads map[string]*upload
	ids     int
}

type upload struct {
	key    string
	header http.Header
	parts  map[int]stored
}

// NewS3 starts a server.
func NewS3(t testing.TB) *S3 {
	s := &S3{uploads: map[string]*upload{}}
	s.Handler = http.HandlerFunc(s.serve)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Forget makes the server keep the sizes of objects only.
func (s *S3) Forget() { s.objects.forget = true }

// Totals counts the objects and their bytes.
func (s *S3) Totals() (count int, bytes int64) { return s.objects.totals() }

// Uploads is how many multipart uploads hold parts and are neither complete nor
// aborted. One whose id was lost before it came to parts can be known to nobody.
func (s *S3) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, u := range s.uploads {
		if len(u.parts) > 0 {
			n++
		}
	}
	return n
}

func (s *S3) fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Bucket-Region", S3Region)
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>said by the test</Message></Error>", code)
}

func (s *S3) serve(w http.ResponseWriter, r *http.Request) {
	if status, code := s.verify(r); code != "" {
		s.fail(w, status, code)
		return
	}
	hash := sha256.New()
	var body bytes.Buffer
	size, err := io.Copy(io.MultiWriter(hash, &body), r.Body)
	if err != nil {
		return
	}
	if want := r.Header.Get("X-Amz-Content-Sha256"); want != "" && want != "UNSIGNED-PAYLOAD" && want != hex.EncodeToString(hash.Sum(nil)) {
		s.fail(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if host, _, ok := strings.Cut(r.Host, "."); ok && host == S3Bucket {
		bucket, key = host, strings.TrimPrefix(r.URL.Path, "/")
	}
	if bucket != S3Bucket {
		s.fail(w, http.StatusNotFound, "NoSuchBucket")
		return
	}
	query := r.URL.Query()
	switch {
	case key == "" && r.Method == http.MethodGet && query.Get("list-type") == "2":
		s.list(w, query)
	case r.Method == http.MethodPost && query.Has("uploads"):
		s.begin(w, r, key)
	case query.Has("uploadId"):
		s.multipart(w, r, key, body.Bytes())
	case r.Method == http.MethodPut:
		s.store(w, r, key, stored{content: bytes.Clone(body.Bytes()), size: size, header: r.Header.Clone()})
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		s.get(w, r, key)
	case r.Method == http.MethodDelete:
		s.objects.delete(key)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func (s *S3) store(w http.ResponseWriter, r *http.Request, key string, o stored) bool {
	condition := r.Header.Get("If-None-Match")
	if condition != "" && s.Unconditional {
		s.fail(w, http.StatusNotImplemented, "NotImplemented")
		return false
	}
	kept, ok := s.objects.put(key, o, condition == "*")
	if !ok {
		s.fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return false
	}
	w.Header().Set("ETag", etag(kept))
	return true
}

func etag(o stored) string { return fmt.Sprintf(`"generation-%d"`, o.generation) }

func (s *S3) get(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := s.objects.get(key)
	if !ok {
		s.fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	for name, values := range o.header {
		if strings.HasPrefix(name, "X-Amz-Meta-") || slices.Contains([]string{"Content-Type", "Content-Encoding", "Cache-Control"}, name) {
			w.Header()[name] = values
		}
	}
	w.Header().Set("ETag", etag(o))
	if r.Header.Get("Range") == "" {
		w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10)) // left out otherwise for packed content
	}
	http.ServeContent(w, r, "", o.modified, bytes.NewReader(o.content))
}

func (s *S3) list(w http.ResponseWriter, query url.Values) {
	limit, _ := strconv.Atoi(cmp.Or(query.Get("max-keys"), "1000"))
	after := ""
	if token := query.Get("continuation-token"); token != "" {
		decoded, err := hex.DecodeString(token)
		if err != nil {
			s.fail(w, http.StatusBadRequest, "InvalidArgument")
			return
		}
		after = string(decoded)
	}
	keys, dirs, next := s.objects.list(query.Get("prefix"), query.Get("delimiter"), after, min(limit, 1000))
	type content struct {
		Key          string
		LastModified string
		ETag         string
		Size         int64
	}
	type prefix struct{ Prefix string }
	result := struct {
		XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		EncodingType          string   `xml:",omitempty"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
		CommonPrefixes        []prefix
	}{EncodingType: query.Get("encoding-type"), IsTruncated: next != "", NextContinuationToken: hex.EncodeToString([]byte(next))}
	encode := func(name string) string { return name }
	if result.EncodingType == "url" {
		encode = url.QueryEscape
	}
	for _, key := range keys {
		o, _ := s.objects.get(key)
		result.Contents = append(result.Contents, content{encode(key), o.modified.Format("2006-01-02T15:04:05.000Z"), etag(o), o.size})
	}
	for _, dir := range dirs {
		result.CommonPrefixes = append(result.CommonPrefixes, prefix{encode(dir)})
	}
	answerXML(w, result)
}

func answerXML(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(value)
}

func (s *S3) begin(w http.ResponseWriter, r *http.Request, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids++
	id := fmt.Sprintf("upload-%d", s.ids)
	s.uploads[id] = &upload{key: key, header: r.Header.Clone(), parts: map[int]stored{}}
	answerXML(w, struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadId string //nolint:revive,staticcheck // the name on the wire
	}{Bucket: S3Bucket, Key: key, UploadId: id})
}

// minPart is the least size of a part that is not the last, in bytes.
const minPart = 5 << 20

func (s *S3) multipart(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.URL.Query().Get("uploadId")
	u := s.uploads[id]
	if u == nil || u.key != key {
		s.fail(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch r.Method {
	case http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPut:
		number, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
		if err != nil || number < 1 || number > 10000 {
			s.fail(w, http.StatusBadRequest, "InvalidArgument")
			return
		}
		sum := md5.Sum(body)
		p := stored{size: int64(len(body)), header: http.Header{"Etag": {`"` + hex.EncodeToString(sum[:]) + `"`}}}
		if !s.objects.forget {
			p.content = bytes.Clone(body)
		}
		u.parts[number] = p
		w.Header().Set("ETag", p.header.Get("ETag"))
	case http.MethodPost:
		var named struct {
			Part []struct {
				PartNumber int
				ETag       string
			}
		}
		if err := xml.Unmarshal(body, &named); err != nil || len(named.Part) == 0 {
			s.fail(w, http.StatusBadRequest, "MalformedXML")
			return
		}
		whole := stored{header: u.header}
		for i, p := range named.Part {
			part, ok := u.parts[p.PartNumber]
			if !ok || part.header.Get("ETag") != p.ETag || (i > 0 && p.PartNumber <= named.Part[i-1].PartNumber) {
				s.fail(w, http.StatusBadRequest, "InvalidPart")
				return
			}
			if i < len(named.Part)-1 && part.size < minPart {
				s.fail(w, http.StatusBadRequest, "EntityTooSmall")
				return
			}
			whole.content = append(whole.content, part.content...)
			whole.size += part.size
		}
		if s.store(w, r, key, whole) {
			delete(s.uploads, id)
			answerXML(w, struct {
				XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
				Key     string
			}{Key: key})
		}
	}
}

// verify tells what is wrong with the signature of a request.
func (s *S3) verify(r *http.Request) (status int, code string) {
	query := r.URL.Query()
	authorization := r.Header.Get("Authorization")
	var credential, signedHeaders, signature, date string
	hash := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case query.Has("X-Amz-Signature"):
		credential, signedHeaders, signature, date = query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"), query.Get("X-Amz-Date")
		query.Del("X-Amz-Signature")
		hash = "UNSIGNED-PAYLOAD"
		seconds, _ := strconv.Atoi(query.Get("X-Amz-Expires"))
		if at, err := time.Parse("20060102T150405Z", date); err != nil || time.Since(at) > time.Duration(seconds)*time.Second {
			return http.StatusForbidden, "AccessDenied"
		}
	case authorization == "" && s.Anonymous:
		return 0, ""
	case !strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 "):
		return http.StatusForbidden, "AccessDenied"
	default:
		for field := range strings.SplitSeq(strings.TrimPrefix(authorization, "AWS4-HMAC-SHA256 "), ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				signedHeaders = value
			case "Signature":
				signature = value
			}
		}
		date = r.Header.Get("X-Amz-Date")
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[0] != S3AccessKey || len(date) < 8 || scope[1] != date[:8] || scope[3] != "s3" || scope[4] != "aws4_request" {
		return http.StatusForbidden, "InvalidAccessKeyId"
	}
	if scope[2] != S3Region {
		return http.StatusBadRequest, "AuthorizationHeaderMalformed"
	}
	names := strings.Split(signedHeaders, ";")
	if !slices.Contains(names, "host") {
		return http.StatusForbidden, "SignatureDoesNotMatch"
	}
	var canonical strings.Builder
	canonical.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n" + strings.ReplaceAll(query.Encode(), "+", "%20") + "\n")
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		canonical.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	canonical.WriteString("\n" + signedHeaders + "\n" + hash)
	digest := sha256.Sum256([]byte(canonical.String()))
	toSign := "AWS4-HMAC-SHA256\n" + date + "\n" + strings.Join(scope[1:], "/") + "\n" + hex.EncodeToString(digest[:])
	key := []byte("AWS4" + S3SecretKey)
	for _, piece := range append(scope[1:], toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(piece))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != signature {
		return http.StatusForbidden, "SignatureDoesNotMatch"
	}
	return 0, ""
}
