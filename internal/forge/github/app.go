package github

import (
	"context"
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

// appTokenLife is how long an app's own token is good; GitHub allows 10 minutes.
const appTokenLife = 9 * time.Minute

// Installation is an account in which an app is installed.
type Installation struct {
	ID      int64 `json:"id"`
	Account User  `json:"account"`
}

func parseAppKey(key []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the private key is not in PEM")
	}
	if private, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return private, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the private key: %w", err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key is a %T, expected an RSA key", parsed)
	}
	return private, nil
}

// appJWT is signed with RS256 and valid from now on.
func appJWT(id string, key *rsa.PrivateKey, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"iat": now.Unix(), "exp": now.Add(appTokenLife).Unix(), "iss": id})
	if err != nil {
		return "", fmt.Errorf("encode the claims of the app: %w", err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign as the app: %w", err)
	}
	return text + "." + enc(signature), nil
}

// ListAppInstallations lists where the app is installed; only the app itself may ask.
func (c *Client) ListAppInstallations(ctx context.Context) ([]Installation, error) {
	return list[Installation](ctx, c, "app/installations", nil)
}
