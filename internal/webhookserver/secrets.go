package webhookserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// keeper keeps the bundle between runs.
type keeper interface {
	// load returns nil where there is no bundle yet.
	load(ctx context.Context) (*Bundle, error)
	save(ctx context.Context, b *Bundle) error
}

// directory keeps the three parts in files that only their owner reads.
type directory string

func (d directory) files(b *Bundle) map[string]*[]byte {
	// The certificate goes last: it is what makes a bundle whole.
	return map[string]*[]byte{"privKeyFile.pem": &b.Key, "caBundle.pem": &b.CA, "certFile.pem": &b.Cert}
}

func (d directory) load(context.Context) (*Bundle, error) {
	b := &Bundle{}
	for name, part := range d.files(b) {
		raw, err := os.ReadFile(filepath.Join(string(d), name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		*part = raw
	}
	return b, nil
}

func (d directory) save(_ context.Context, b *Bundle) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("keep the certificate: %w", err)
	}
	for name, part := range d.files(b) {
		path := filepath.Join(string(d), name)
		if err := os.WriteFile(path+".tmp", *part, 0o600); err != nil {
			return fmt.Errorf("keep the certificate: %w", err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return fmt.Errorf("keep the certificate: %w", err)
		}
	}
	return nil
}

const (
	secretManagerURL = "https://secretmanager.googleapis.com"
	maxSecret        = 128 << 10
)

// secretManager keeps the bundle as JSON in Google's Secret Manager.
type secretManager struct {
	client          *http.Client
	base            string
	project, secret string
}

func (s *secretManager) load(ctx context.Context) (*Bundle, error) {
	var answer struct {
		Payload struct {
			Data string `json:"data"`
		} `json:"payload"`
	}
	code, err := s.call(ctx, http.MethodGet, "/secrets/"+url.PathEscape(s.secret)+"/versions/latest:access", nil, &answer)
	if code == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(answer.Payload.Data)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", s.secret, err)
	}
	var parts map[string]string
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, fmt.Errorf("secret %s: %w", s.secret, err)
	}
	return &Bundle{Cert: []byte(parts["certFile.pem"]), Key: []byte(parts["privKeyFile.pem"]), CA: []byte(parts["caBundle.pem"])}, nil
}

func (s *secretManager) save(ctx context.Context, b *Bundle) error {
	code, err := s.call(ctx, http.MethodPost, "/secrets?secretId="+url.QueryEscape(s.secret),
		map[string]any{"replication": map[string]any{"automatic": map[string]any{}}}, nil)
	if err != nil && code != http.StatusConflict { // there is one already
		return err
	}
	raw, err := json.Marshal(map[string]string{"certFile.pem": string(b.Cert), "privKeyFile.pem": string(b.Key), "caBundle.pem": string(b.CA)})
	if err != nil {
		return fmt.Errorf("secret %s: %w", s.secret, err)
	}
	_, err = s.call(ctx, http.MethodPost, "/secrets/"+url.PathEscape(s.secret)+":addVersion",
		map[string]any{"payload": map[string]string{"data": base64.StdEncoding.EncodeToString(raw)}}, nil)
	return err
}

// call returns the code of the answer beside the error that it stands for. No
// body of an answer gets into an error: it may be the secret.
func (s *secretManager) call(ctx context.Context, method, path string, body, out any) (int, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, fmt.Errorf("secret %s: %w", s.secret, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+"/v1/projects/"+url.PathEscape(s.project)+path, bytes.NewReader(raw))
	if err != nil {
		return 0, fmt.Errorf("secret %s: %w", s.secret, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("secret %s: %w", s.secret, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, fmt.Errorf("secret %s of project %s: %s", s.secret, s.project, resp.Status)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxSecret)).Decode(out); err != nil {
		return resp.StatusCode, fmt.Errorf("secret %s: the answer is not understood", s.secret)
	}
	return resp.StatusCode, nil
}
