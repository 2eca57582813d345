package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sigs.k8s.io/yaml"

	"prow/internal/secret"
)

// Keys are the secrets with which a forge signs its deliveries, by "org/repo",
// "org" or "*".
type Keys map[string][]Key

// Key is one secret; several of one sender are valid while it is rotated.
type Key struct {
	Value     string    `json:"value"`
	CreatedAt time.Time `json:"created_at"`
}

// ParseKeys reads the secret file: a YAML map, or, where it is none, one secret
// for every sender.
func ParseKeys(file []byte) (Keys, error) {
	text := strings.TrimSpace(string(file))
	if text == "" {
		return nil, errors.New("the webhook secret is empty")
	}
	var keys Keys
	if err := yaml.Unmarshal([]byte(text), &keys); err != nil && strings.Contains(text, "value:") && strings.ContainsAny(text, "\n{") {
		// Were it taken as one secret, nobody's deliveries would be accepted.
		return nil, errors.New("the webhook secrets look like a map of lists, but are none: " + redactedYAML(err))
	} else if err != nil || len(keys) == 0 {
		return Keys{"*": {{Value: text}}}, nil
	}
	for sender, list := range keys {
		for i, k := range list {
			if k.Value == "" {
				return nil, fmt.Errorf("the webhook secret %d of %q is empty", i+1, sender)
			}
		}
	}
	return keys, nil
}

// candidates are the secrets of a sender: those of the most specific key that is
// present. Less specific ones are not tried after a mismatch.
func (k Keys) candidates(fullName, org string) []Key {
	sender := fullName
	if sender == "" {
		sender = org
	}
	owner, _, _ := strings.Cut(sender, "/")
	for _, key := range []string{sender, owner, "*"} {
		if list, ok := k[key]; ok && key != "" {
			return list
		}
	}
	return nil
}

// Sign is the value of X-Hub-Signature-256 for a body.
func Sign(body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Signature is a signature of a payload of a repository, or of an organisation:
// the given one while it is valid, else one with the newest secret; false where
// the sender has no secret.
func (k Keys) Signature(body []byte, signature, sender string) (string, bool) {
	candidates := k.candidates(sender, "")
	if len(candidates) == 0 {
		return "", false
	}
	if valid(body, signature, candidates) {
		return signature, true
	}
	newest := slices.MaxFunc(candidates, func(a, b Key) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return Sign(body, newest.Value), true
}

// valid tells whether signature is that of one of the secrets, in constant time.
func valid(body []byte, signature string, secrets []Key) bool {
	ok := false
	for _, s := range secrets {
		if hmac.Equal([]byte(Sign(body, s.Value)), []byte(signature)) {
			ok = true
		}
	}
	return ok
}

// yamlPlace is where a message of the YAML parser says a mistake is.
var yamlPlace = regexp.MustCompile(`line \d+`)

// redactedYAML tells the place of a mistake, and nothing of the secrets around it.
func redactedYAML(err error) string {
	if place := yamlPlace.FindString(err.Error()); place != "" {
		return "see " + place
	}
	return "they cannot be parsed"
}

// FollowKeys reads the secret file and follows its changes; the secrets in it are
// censored in logs.
func FollowKeys(secrets *secret.Store, path string) (func() Keys, error) {
	var current atomic.Pointer[Keys]
	if _, err := secrets.File(path, func(b []byte) error {
		parsed, err := ParseKeys(b)
		if err != nil {
			return err
		}
		for _, list := range parsed {
			for _, k := range list {
				secrets.Add(k.Value)
			}
		}
		current.Store(&parsed)
		return nil
	}); err != nil {
		return nil, err
	}
	return func() Keys { return *current.Load() }, nil
}
