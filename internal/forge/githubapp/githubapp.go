// Package githubapp lets a GitHub App speak for itself: it reads the App's
// private key and signs the tokens by which GitHub knows it. It has no
// dependencies, so that the pod utilities can use it as well.
package githubapp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// ParseKey reads an RSA key from PEM, in PKCS 1 as GitHub gives it or in PKCS 8.
func ParseKey(content []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("the private key is not in PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the private key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key is a %T, expected an RSA key", parsed)
	}
	return key, nil
}

// Token is a JSON web token (RFC 7519) of the App, signed with RS256 and good
// from issued until expires.
func Token(id string, key *rsa.PrivateKey, issued, expires time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"iat": issued.Unix(), "exp": expires.Unix(), "iss": id})
	if err != nil {
		return "", fmt.Errorf("encode the claims of the app: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign as the app: %w", err)
	}
	return text + "." + encode(signature), nil
}
