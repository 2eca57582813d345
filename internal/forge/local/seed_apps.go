package local

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"prow/internal/forge/githubapp"
)

// App is a GitHub App to create.
type App struct {
	// ID is the number by which the App identifies itself; 0 lets the forge choose.
	ID   int64  `json:"id,omitempty"`
	Slug string `json:"slug"`
	Name string `json:"name,omitempty"`
	// Owner is the account that the App belongs to.
	Owner string `json:"owner"`
	// Key is an RSA key in PEM, private or public. KeyFile is read when Key is
	// empty, and written with a new private key when it does not exist.
	Key     string `json:"key,omitempty"`
	KeyFile string `json:"key_file,omitempty"`
	// Permissions maps names ("issues") to read, write or admin.
	Permissions map[string]string `json:"permissions,omitempty"`
	// Events are what the webhook receives; empty means all.
	Events        []string       `json:"events,omitempty"`
	WebhookURL    string         `json:"webhook_url,omitempty"`
	WebhookSecret string         `json:"webhook_secret,omitempty"`
	Installations []Installation `json:"installations,omitempty"`
}

// Installation puts an App into an organisation or an account.
type Installation struct {
	Account string `json:"account"`
	// Repos are the names of the repositories it reaches; empty means all.
	Repos []string `json:"repos,omitempty"`
	// Permissions are those of the App when empty.
	Permissions map[string]string `json:"permissions,omitempty"`
}

// CreateApp creates or updates an App with its installations and returns its number.
func (f *Forge) CreateApp(ctx context.Context, a App) (int64, error) {
	id, err := f.createApp(ctx, a)
	if err != nil {
		return 0, fmt.Errorf("creating app %s: %w", a.Slug, err)
	}
	return id, nil
}

func (f *Forge) createApp(ctx context.Context, a App) (int64, error) {
	if a.Slug == "" || slugify(a.Slug) != a.Slug {
		return 0, errors.New("the slug must consist of lower-case letters, digits and hyphens")
	}
	if a.Name == "" {
		a.Name = a.Slug
	}
	key, err := a.publicKey()
	if err != nil {
		return 0, err
	}
	if err := checkGrants(a.Permissions); err != nil {
		return 0, err
	}
	if err := f.CreateUser(ctx, User{Login: a.Slug + "[bot]", Name: a.Name, Bot: true}); err != nil {
		return 0, err
	}
	if a.WebhookURL != "" {
		if err := checkHookURL(a.WebhookURL); err != nil {
			return 0, err
		}
	}
	var id int64
	err = f.write(ctx, func(t *txn) error {
		owner, err := t.account(a.Owner)
		if err != nil {
			return fmt.Errorf("owner: %w", err)
		}
		bot, err := t.account(a.Slug + "[bot]")
		if err != nil {
			return err
		}
		events := names(a.Events)
		if len(events) == 0 {
			events = names{"*"}
		}
		perms := words(maps.Clone(a.Permissions))
		if perms == nil {
			perms = words{}
		}
		perms["metadata"] = "read"
		have, err := one(&t.reader, scanApp, "SELECT "+appCols+" FROM apps p WHERE p.slug = ?", a.Slug)
		switch {
		case errors.Is(err, errNotFound):
			var number any
			if a.ID != 0 {
				number = a.ID
			}
			if id, err = t.exec("INSERT INTO apps (id, slug, name, client_id, owner_id, bot_id, key, permissions, events, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
				number, a.Slug, a.Name, "Iv1."+tokenHash(a.Slug)[:16], owner.ID, bot.ID, key, perms, events, t.now, t.now); err != nil {
				return err
			}
		case err != nil:
			return err
		case a.ID != 0 && a.ID != have.ID:
			return fmt.Errorf("its number is %d already", have.ID)
		default:
			id = have.ID
			if _, err := t.exec("UPDATE apps SET name = ?, owner_id = ?, key = ?, permissions = ?, events = ?, updated = ? WHERE id = ?", a.Name, owner.ID, key, perms, events, t.now, id); err != nil {
				return err
			}
		}
		if a.WebhookURL != "" {
			if err := t.putAppHook(id, a, events); err != nil {
				return err
			}
		}
		for _, in := range a.Installations {
			if err := t.install(id, in, perms); err != nil {
				return fmt.Errorf("installing in %s: %w", in.Account, err)
			}
		}
		return nil
	})
	return id, err
}

func (t *txn) putAppHook(id int64, a App, events names) error {
	raw, err := json.Marshal(events)
	if err != nil {
		return err
	}
	h := &hook{AppID: id, URL: a.WebhookURL, Secret: a.WebhookSecret, Events: string(raw), Active: true}
	have, err := one(&t.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.app_id = ?", id)
	if errors.Is(err, errNotFound) {
		return t.insertHook(h)
	}
	if err != nil {
		return err
	}
	h.ID = have.ID
	return t.saveHook(h)
}

func (t *txn) install(appID int64, in Installation, perms words) error {
	if len(in.Permissions) > 0 {
		if err := checkGrants(in.Permissions); err != nil {
			return err
		}
		perms = words(maps.Clone(in.Permissions))
		perms["metadata"] = "read"
	}
	a, err := t.account(in.Account)
	if err != nil {
		return err
	}
	p, err := t.appID(appID)
	if err != nil {
		return err
	}
	n, err := t.count("SELECT count(*) FROM installations WHERE app_id = ? AND account_id = ?", appID, a.ID)
	if err != nil {
		return err
	}
	if _, err := t.exec("INSERT INTO installations (app_id, account_id, selected, permissions, created, updated) VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET selected = excluded.selected, permissions = excluded.permissions",
		appID, a.ID, len(in.Repos) > 0, perms, t.now, t.now); err != nil {
		return err
	}
	v, err := one(&t.reader, scanInstallation, "SELECT "+installationCols+" FROM installations s WHERE s.app_id = ? AND s.account_id = ?", appID, a.ID)
	if err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM installation_repos WHERE installation_id = ?", v.ID); err != nil {
		return err
	}
	for _, name := range in.Repos {
		rp, err := t.repo(in.Account, name)
		if err != nil {
			return fmt.Errorf("repository %s: %w", name, err)
		}
		if _, err := t.exec("INSERT INTO installation_repos (installation_id, repo_id) VALUES (?,?)", v.ID, rp.ID); err != nil {
			return err
		}
	}
	if n > 0 {
		return nil
	}
	return t.emitInstallation(v, p, "created")
}

func checkGrants(perms map[string]string) error {
	for name, level := range perms {
		if levelOf(level) == 0 {
			return fmt.Errorf("permission %s: level %q: want read, write or admin", name, level)
		}
	}
	return nil
}

// publicKey reads the key of an App, making a new one where none is.
func (a App) publicKey() (string, error) {
	text := a.Key
	if text == "" && a.KeyFile != "" {
		raw, err := os.ReadFile(a.KeyFile)
		if errors.Is(err, os.ErrNotExist) {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				return "", err
			}
			raw = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
			if err := os.WriteFile(a.KeyFile, raw, 0o600); err != nil {
				return "", fmt.Errorf("writing its key: %w", err)
			}
			text = string(raw)
		} else if err != nil {
			return "", fmt.Errorf("reading its key: %w", err)
		} else {
			text = string(raw)
		}
	}
	if text == "" {
		return "", errors.New("neither key nor key_file is set")
	}
	if private, err := githubapp.ParseKey([]byte(text)); err == nil {
		der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
		if err != nil {
			return "", err
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
	}
	if _, err := publicKey(text); err != nil {
		return "", fmt.Errorf("its key: %w", err)
	}
	return text, nil
}

// PutWorkflowRun creates or changes a run of a workflow and returns its number.
func (f *Forge) PutWorkflowRun(ctx context.Context, w WorkflowRun) (id int64, err error) {
	err = f.write(ctx, func(t *txn) error {
		id, err = t.seedWorkflowRun(w)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("workflow run %s of %s/%s: %w", w.Name, w.Owner, w.Repo, err)
	}
	return id, nil
}

// seedApps is the part of Apply for Apps. Repositories exist by now.
func (f *Forge) seedApps(ctx context.Context, apps []App) error {
	for _, a := range slices.Clone(apps) {
		if _, err := f.CreateApp(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
