// Package seal makes values that browsers keep for this site: nobody can read, change
// or make them up without the key, nor use one for a purpose it was not made for, nor
// after its time.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrInvalid says that a value is not one of this site, or is no longer valid.
var ErrInvalid = errors.New("the value was not sealed here, or its time is over")

// Sealer seals with a secret.
type Sealer struct {
	secret func() []byte
	now    func() time.Time
}

// New returns a sealer. The secret may change; what was sealed with an older one is
// no longer valid then.
func New(secret func() []byte, now func() time.Time) *Sealer { return &Sealer{secret, now} }

type sealed struct {
	Until int64           `json:"u"`
	Value json.RawMessage `json:"v"`
}

// aead has a key of its own for each purpose.
func (s *Sealer) aead(purpose string) (cipher.AEAD, error) {
	secret := s.secret()
	if len(secret) == 0 {
		return nil, errors.New("there is no secret")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "prow deck "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal makes a text of a value that stays valid for a while. It fits a cookie.
func (s *Sealer) Seal(purpose string, value any, life time.Duration) (string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("sealing for %s: %w", purpose, err)
	}
	if raw, err = json.Marshal(sealed{s.now().Add(life).Unix(), raw}); err != nil {
		return "", fmt.Errorf("sealing for %s: %w", purpose, err)
	}
	a, err := s.aead(purpose)
	if err != nil {
		return "", fmt.Errorf("sealing for %s: %w", purpose, err)
	}
	return base64.RawURLEncoding.EncodeToString(a.Seal(nil, nil, raw, nil)), nil
}

// Open reads a value that was sealed for this purpose, or says ErrInvalid.
func (s *Sealer) Open(purpose, text string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return ErrInvalid
	}
	a, err := s.aead(purpose)
	if err != nil {
		return fmt.Errorf("opening for %s: %w", purpose, err)
	}
	if raw, err = a.Open(nil, nil, raw, nil); err != nil {
		return ErrInvalid
	}
	var out sealed
	if err := json.Unmarshal(raw, &out); err != nil || s.now().Unix() >= out.Until {
		return ErrInvalid
	}
	if err := json.Unmarshal(out.Value, into); err != nil {
		return ErrInvalid
	}
	return nil
}
