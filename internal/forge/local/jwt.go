package local

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// jwtLife is how far in the future a JSON web token of an App may expire.
	jwtLife = 10 * time.Minute
	// jwtSkew is how far its clock may be ahead.
	jwtSkew = time.Minute
	maxJWT  = 4 << 10
)

func badJWT(message string) error {
	return &apiError{Status: http.StatusUnauthorized, Message: message}
}

var errJWTDecode = badJWT("A JSON web token could not be decoded")

// jwtClaims are the claims that GitHub reads. The issuer may be a number or a string.
type jwtClaims struct {
	Issuer  json.RawMessage `json:"iss"`
	Issued  *json.Number    `json:"iat"`
	Expires *json.Number    `json:"exp"`
}

func seconds(n *json.Number) (time.Time, bool) {
	if n == nil {
		return time.Time{}, false
	}
	v, err := strconv.ParseInt(n.String(), 10, 64)
	return time.Unix(v, 0), err == nil
}

// checkTimes applies GitHub's rules on the life of a token.
func (c jwtClaims) checkTimes(now time.Time) error {
	exp, ok := seconds(c.Expires)
	switch {
	case !ok:
		return badJWT("Missing 'exp' claim in assertion")
	case !exp.After(now):
		return badJWT("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case exp.After(now.Add(jwtLife)):
		return badJWT("'Expiration time' claim ('exp') is too far in the future")
	}
	iat, ok := seconds(c.Issued)
	switch {
	case !ok:
		return badJWT("Missing 'iat' claim in assertion")
	case iat.After(now.Add(jwtSkew)):
		return badJWT("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return nil
}

// parseJWT splits a token. It checks nothing but the form.
func parseJWT(token string) (claims jwtClaims, signed string, signature []byte, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxJWT {
		return claims, "", nil, errJWTDecode
	}
	var raw [3][]byte
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(strings.TrimRight(p, "=")); err != nil {
			return claims, "", nil, errJWTDecode
		}
	}
	var head struct{ Alg string }
	if json.Unmarshal(raw[0], &head) != nil || head.Alg != "RS256" || json.Unmarshal(raw[1], &claims) != nil {
		return claims, "", nil, errJWTDecode
	}
	return claims, parts[0] + "." + parts[1], raw[2], nil
}

// appByToken verifies the JSON web token of an App.
func (r *reader) appByToken(token string) (*app, error) {
	claims, signed, signature, err := parseJWT(token)
	if err != nil {
		return nil, err
	}
	issuer := strings.Trim(string(claims.Issuer), `"`)
	p, err := one(r, scanApp, "SELECT "+appCols+" FROM apps p WHERE CAST(p.id AS TEXT) = ? OR p.client_id = ?", issuer, issuer)
	if errors.Is(err, errNotFound) {
		return nil, badJWT("'Issuer' claim ('iss') must be an Integer")
	}
	if err != nil {
		return nil, err
	}
	key, err := publicKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("key of the app %s: %w", p.Slug, err)
	}
	sum := sha256.Sum256([]byte(signed))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		return nil, errJWTDecode
	}
	return p, claims.checkTimes(r.f.clock.Now())
}

func publicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not in PEM")
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T, want an RSA key", parsed)
	}
	return key, nil
}
