package local

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// app is a GitHub App.
type app struct {
	ID                   int64
	Slug, Name, ClientID string
	OwnerID, BotID       int64
	Key                  string // PEM of the public key
	Permissions          words
	Events               names
	Created, Updated     when
}

const appCols = "p.id, p.slug, p.name, p.client_id, p.owner_id, p.bot_id, p.key, p.permissions, p.events, p.created, p.updated"

func scanApp(s scanner, p *app) error {
	return s.Scan(&p.ID, &p.Slug, &p.Name, &p.ClientID, &p.OwnerID, &p.BotID, &p.Key, &p.Permissions, &p.Events, &p.Created, &p.Updated)
}

func (p *app) idString() string { return strconv.FormatInt(p.ID, 10) }

// words is a JSON object of strings in a column, names a list of strings.
type (
	words map[string]string
	names []string
)

func scanJSON(src, into any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("JSON column holds %T", src)
	}
	return json.Unmarshal([]byte(text), into)
}

func valueJSON(v any) (driver.Value, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

func (w *words) Scan(src any) error          { return scanJSON(src, (*map[string]string)(w)) }
func (w words) Value() (driver.Value, error) { return valueJSON(map[string]string(w)) }
func (n *names) Scan(src any) error          { return scanJSON(src, (*[]string)(n)) }
func (n names) Value() (driver.Value, error) { return valueJSON(orEmpty([]string(n))) }

// installation is an App in an organisation or with a user.
type installation struct {
	ID, AppID, AccountID int64
	Selected             bool
	Permissions          words
	Suspended            when
	Created, Updated     when
}

const installationCols = "s.id, s.app_id, s.account_id, s.selected, s.permissions, s.suspended, s.created, s.updated"

func scanInstallation(s scanner, v *installation) error {
	return s.Scan(&v.ID, &v.AppID, &v.AccountID, &v.Selected, &v.Permissions, &v.Suspended, &v.Created, &v.Updated)
}

// repos returns the ids of the selected repositories, nil for all.
func (r *reader) installationRepos(v *installation) (map[int64]bool, error) {
	if !v.Selected {
		return nil, nil
	}
	ids, err := list(r, scalar[int64], "SELECT repo_id FROM installation_repos WHERE installation_id = ?", v.ID)
	set := map[int64]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set, err
}

func (r *reader) appID(id int64) (*app, error) {
	return one(r, scanApp, "SELECT "+appCols+" FROM apps p WHERE p.id = ?", id)
}

// appOf returns the App behind an account. Programs that use a personal token
// appear as an App with the account's id.
func (r *reader) appOf(accountID int64) (*app, error) {
	p, err := one(r, scanApp, "SELECT "+appCols+" FROM apps p WHERE p.bot_id = ?", accountID)
	if !errors.Is(err, errNotFound) {
		return p, err
	}
	a, err := r.accountID(accountID)
	if err != nil {
		return nil, err
	}
	return &app{ID: a.ID, Slug: slugify(a.Login), Name: a.Login, OwnerID: a.ID, BotID: a.ID, Created: a.Created, Updated: a.Created}, nil
}

// appJSON shows the App behind an account.
func (r *reader) appJSON(accountID int64) (obj, error) {
	p, err := r.appOf(accountID)
	if err != nil {
		return nil, err
	}
	return r.appObj(p)
}

func (r *reader) appObj(p *app) (obj, error) {
	owner, err := r.userIDJSON(p.OwnerID)
	if err != nil {
		return nil, err
	}
	perms := p.Permissions
	if perms == nil {
		perms = words{}
	}
	return obj{
		"id": p.ID, "node_id": nodeID("A", p.ID), "slug": p.Slug, "client_id": p.ClientID, "name": p.Name, "owner": owner, "description": "",
		"external_url": r.f.web("/apps/%s", p.Slug), "html_url": r.f.web("/apps/%s", p.Slug), "created_at": p.Created, "updated_at": p.Updated,
		"permissions": perms, "events": orEmpty([]string(p.Events)),
	}, nil
}

func (r *reader) installationJSON(v *installation) (obj, error) {
	p, err := r.appID(v.AppID)
	if err != nil {
		return nil, err
	}
	a, err := r.accountID(v.AccountID)
	if err != nil {
		return nil, err
	}
	selection := "all"
	if v.Selected {
		selection = "selected"
	}
	kind := "User"
	if a.Kind == kindOrg {
		kind = kindOrg
	}
	return obj{
		"id": v.ID, "app_id": p.ID, "app_slug": p.Slug, "client_id": p.ClientID, "account": r.f.userJSON(a), "target_id": a.ID, "target_type": kind,
		"repository_selection": selection, "permissions": v.Permissions, "events": orEmpty([]string(p.Events)),
		"access_tokens_url": r.f.api("/app/installations/%d/access_tokens", v.ID), "repositories_url": r.f.api("/installation/repositories"),
		"html_url": r.f.web("/organizations/%s/settings/installations/%d", a.Login, v.ID), "single_file_name": nil, "has_multiple_single_files": false, "single_file_paths": []string{},
		"created_at": v.Created, "updated_at": v.Updated, "suspended_at": v.Suspended, "suspended_by": nil,
	}, nil
}
