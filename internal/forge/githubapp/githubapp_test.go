package githubapp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func TestKeysOfApps(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	for name, tc := range map[string]struct {
		key []byte
		err string
	}{
		"as GitHub gives it": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), ""},
		"in PKCS 8":          {pkcs8(key), ""},
		"of another kind":    {pkcs8(curve), "expected an RSA key"},
		"damaged":            {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "parse the private key"},
		"no PEM":             {[]byte("x"), "not in PEM"},
	} {
		key, err := ParseKey(tc.key)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if jwt, err := Token("1", key, time.Now(), time.Now().Add(time.Minute)); err != nil || strings.Count(jwt, ".") != 2 {
			t.Errorf("%s: %q, %v", name, jwt, err)
		}
	}
	jwt, err := Token("7", key, time.Unix(1000, 0), time.Unix(1540, 0))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])
	if want := `{"exp":1540,"iat":1000,"iss":"7"}`; err != nil || string(claims) != want {
		t.Errorf("found %s, want %s (%v)", claims, want, err)
	}
}
