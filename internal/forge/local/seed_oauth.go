package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// OAuthApp is a program to which people may sign in with their account here.
type OAuthApp struct {
	ClientID string `json:"client_id"`
	// ClientSecret authenticates the program. ClientSecretFile is read when it is
	// empty, and written with a new secret when it does not exist.
	ClientSecret     string `json:"client_secret,omitempty"`
	ClientSecretFile string `json:"client_secret_file,omitempty"`
	Name             string `json:"name,omitempty"`
	// Owner is the account that the program belongs to.
	Owner string `json:"owner"`
	// CallbackURL is where people are sent back to, there or below.
	CallbackURL string `json:"callback_url"`
}

// CreateOAuthApp creates or updates a program.
func (f *Forge) CreateOAuthApp(ctx context.Context, o OAuthApp) error {
	if err := f.createOAuthApp(ctx, o); err != nil {
		return fmt.Errorf("creating OAuth app %s: %w", o.ClientID, err)
	}
	return nil
}

func (f *Forge) createOAuthApp(ctx context.Context, o OAuthApp) error {
	if o.ClientID == "" {
		return errors.New("client_id is empty")
	}
	if o.Name == "" {
		o.Name = o.ClientID
	}
	back, err := url.Parse(o.CallbackURL)
	if err != nil || back.Host == "" || back.Scheme != "http" && back.Scheme != "https" || back.User != nil {
		return fmt.Errorf("callback_url %q: want an http or https URL", o.CallbackURL)
	}
	secret, err := o.secret()
	if err != nil {
		return err
	}
	return f.write(ctx, func(t *txn) error {
		owner, err := t.account(o.Owner)
		if err != nil {
			return fmt.Errorf("owner: %w", err)
		}
		_, err = t.exec("INSERT INTO oauth_apps (client_id, secret, name, owner_id, callback, created) VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET secret = excluded.secret, name = excluded.name, owner_id = excluded.owner_id, callback = excluded.callback",
			o.ClientID, tokenHash(secret), o.Name, owner.ID, o.CallbackURL, t.now)
		return err
	})
}

func (o *OAuthApp) secret() (string, error) {
	secret := o.ClientSecret
	if secret == "" && o.ClientSecretFile != "" {
		raw, err := os.ReadFile(o.ClientSecretFile)
		if errors.Is(err, os.ErrNotExist) {
			raw = []byte(rand.Text())
			err = os.WriteFile(o.ClientSecretFile, raw, 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("client_secret_file: %w", err)
		}
		secret = strings.TrimSpace(string(raw))
	}
	if len(secret) < 8 {
		return "", errors.New("the client secret must have at least 8 characters")
	}
	return secret, nil
}
