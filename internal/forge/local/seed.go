package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// The methods in this file set a forge up. All may be repeated, at every start
// for example: nothing is doubled, and accounts, roles, teams, labels and hooks
// are brought in line. A repository that exists is left as it is.

// User is a person or bot to create.
type User struct {
	Login string `json:"login"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	// Bot marks accounts of programs.
	Bot bool `json:"bot,omitempty"`
	// SiteAdmin may do everything.
	SiteAdmin bool `json:"site_admin,omitempty"`
	// Busy shows the account as of limited availability.
	Busy bool `json:"busy,omitempty"`
}

// Org is an organisation to create.
type Org struct {
	Login string `json:"login"`
	Name  string `json:"name,omitempty"`
	// DefaultPermission is what members may do with every repository; empty means read.
	DefaultPermission string `json:"default_permission,omitempty"`
}

// Team is a team to create in an organisation.
type Team struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Maintainers []string `json:"maintainers,omitempty"`
	Members     []string `json:"members,omitempty"`
	// Repos maps repository names of the organisation to permissions.
	Repos map[string]string `json:"repos,omitempty"`
}

// Repo is a repository to create.
type Repo struct {
	Owner       string `json:"owner"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Private     bool   `json:"private,omitempty"`
	// DefaultBranch is "main" when empty.
	DefaultBranch string `json:"default_branch,omitempty"`
	// Source is the path of a git repository on this machine whose commit
	// SourceRef (HEAD when empty) becomes the default branch, unless that exists.
	// Without Source an empty repository gets a first commit with a README.
	Source    string `json:"source,omitempty"`
	SourceRef string `json:"source_ref,omitempty"`
	// NoInit leaves a repository without Source empty.
	NoInit bool `json:"no_init,omitempty"`
}

// Hook is a webhook of an organisation or, with Repo set, of a repository.
type Hook struct {
	Owner  string `json:"owner"`
	Repo   string `json:"repo,omitempty"`
	URL    string `json:"url"`
	Secret string `json:"secret,omitempty"`
	// Events are names of events; empty means all.
	Events []string `json:"events,omitempty"`
}

// CreateUser creates or updates an account.
func (f *Forge) CreateUser(ctx context.Context, u User) error {
	kind := kindUser
	if u.Bot {
		kind = kindBot
	}
	return f.putAccount(ctx, account{Login: u.Login, Kind: kind, Name: u.Name, Email: u.Email, Admin: u.SiteAdmin, Settings: settings{"busy": u.Busy}})
}

// CreateOrg creates or updates an organisation.
func (f *Forge) CreateOrg(ctx context.Context, o Org) error {
	if o.DefaultPermission == "" {
		o.DefaultPermission = "read"
	}
	if _, err := parsePermission(o.DefaultPermission); err != nil {
		return fmt.Errorf("organisation %s: %w", o.Login, err)
	}
	return f.putAccount(ctx, account{Login: o.Login, Kind: kindOrg, Name: o.Name, DefaultPerm: o.DefaultPermission})
}

func (f *Forge) putAccount(ctx context.Context, a account) error {
	if !validLogin(a.Login) {
		return fmt.Errorf("creating account: login %q: want letters, digits and single hyphens, at most 39 characters, no reserved word", a.Login)
	}
	err := f.write(ctx, func(t *txn) error {
		old, err := t.account(a.Login)
		if errors.Is(err, errNotFound) {
			_, err = t.exec("INSERT INTO accounts (login, kind, name, email, admin, default_permission, settings, created) VALUES (?,?,?,?,?,?,?,?)", a.Login, a.Kind, a.Name, a.Email, a.Admin, a.DefaultPerm, a.Settings, t.now)
			return err
		}
		if err != nil {
			return err
		}
		if (old.Kind == kindOrg) != (a.Kind == kindOrg) {
			return fmt.Errorf("the login belongs to an account of type %s", old.Kind)
		}
		if a.Kind == kindOrg { // what was set by its owners stays
			a.Settings = old.Settings
		}
		_, err = t.exec("UPDATE accounts SET settings = ?, kind = ?, name = ?, email = ?, admin = ?, default_permission = ? WHERE id = ?", a.Settings, a.Kind, a.Name, a.Email, a.Admin, a.DefaultPerm, old.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("creating account %s: %w", a.Login, err)
	}
	return nil
}

// CreateToken makes token valid for an account; an empty token is replaced by
// a random one. It returns the token, which is stored only as a hash.
func (f *Forge) CreateToken(ctx context.Context, login, token string) (string, error) {
	return f.createToken(ctx, login, token, "")
}

func (f *Forge) createToken(ctx context.Context, login, token, scopes string) (string, error) {
	if token == "" {
		token = "ghl_" + rand.Text()
	}
	if len(token) < 8 {
		return "", fmt.Errorf("creating token for %s: want at least 8 characters", login)
	}
	err := f.write(ctx, func(t *txn) error {
		a, err := t.account(login)
		if err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO tokens (hash, account_id, scopes, created) VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET account_id = excluded.account_id, scopes = excluded.scopes", tokenHash(token), a.ID, scopes, t.now)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("creating token for %s: %w", login, err)
	}
	return token, nil
}

// AddMember makes a user a member ("member") or owner ("admin") of an organisation.
func (f *Forge) AddMember(ctx context.Context, org, login, role string) error {
	if role != "member" && role != "admin" {
		return fmt.Errorf("adding %s to %s: role %q: want member or admin", login, org, role)
	}
	err := f.write(ctx, func(t *txn) error {
		o, err := t.org(org)
		if err != nil {
			return fmt.Errorf("organisation: %w", err)
		}
		a, err := t.account(login)
		if err != nil {
			return fmt.Errorf("user: %w", err)
		}
		_, err = t.exec("INSERT INTO members (org_id, user_id, role) VALUES (?,?,?) ON CONFLICT DO UPDATE SET role = excluded.role", o.ID, a.ID, role)
		return err
	})
	if err != nil {
		return fmt.Errorf("adding %s to %s: %w", login, org, err)
	}
	return nil
}

// CreateTeam creates a team with members and repositories.
func (f *Forge) CreateTeam(ctx context.Context, org string, tm Team) error {
	err := f.write(ctx, func(t *txn) error {
		o, err := t.org(org)
		if err != nil {
			return fmt.Errorf("organisation: %w", err)
		}
		v := &team{OrgID: o.ID, Privacy: "closed", Permission: "pull"}
		if err := (teamEdit{Name: &tm.Name, Description: &tm.Description}).apply(v); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO teams (org_id, slug, name, description, privacy) VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET name = excluded.name, description = excluded.description", v.OrgID, v.Slug, v.Name, v.Description, v.Privacy); err != nil {
			return err
		}
		if v, err = t.team(o.ID, v.Slug); err != nil {
			return err
		}
		for role, logins := range map[string][]string{"maintainer": tm.Maintainers, "member": tm.Members} {
			for _, login := range logins {
				if err := t.seedTeamMember(o, v, login, role); err != nil {
					return err
				}
			}
		}
		for name, perm := range tm.Repos {
			p, err := parsePermission(perm)
			if err != nil {
				return err
			}
			rp, err := t.repo(org, name)
			if err != nil {
				return fmt.Errorf("repository %s: %w", name, err)
			}
			if _, err := t.exec("INSERT INTO team_repos (team_id, repo_id, permission) VALUES (?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", v.ID, rp.ID, p.String()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("creating team %s in %s: %w", tm.Name, org, err)
	}
	return nil
}

// seedTeamMember makes an account a member of a team and, without an
// invitation, of its organisation.
func (t *txn) seedTeamMember(org *account, tm *team, login, role string) error {
	a, err := t.account(login)
	if err != nil {
		return fmt.Errorf("user %s: %w", login, err)
	}
	if _, err := t.exec("INSERT OR IGNORE INTO members (org_id, user_id, role) VALUES (?,?,'member')", org.ID, a.ID); err != nil {
		return err
	}
	_, err = t.joinTeam(org, tm, a, login, role)
	return err
}

// AddCollaborator gives someone a permission (read, triage, write, maintain,
// admin) on one repository.
func (f *Forge) AddCollaborator(ctx context.Context, owner, name, login, perm string) error {
	p, err := parsePermission(perm)
	if err == nil {
		err = f.write(ctx, func(t *txn) error {
			rp, err := t.repo(owner, name)
			if err != nil {
				return fmt.Errorf("repository: %w", err)
			}
			a, err := t.account(login)
			if err != nil {
				return fmt.Errorf("user: %w", err)
			}
			_, err = t.exec("INSERT INTO collaborators (repo_id, user_id, permission) VALUES (?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", rp.ID, a.ID, p.String())
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("adding collaborator %s to %s/%s: %w", login, owner, name, err)
	}
	return nil
}

// CreateLabel creates or updates a label of a repository.
func (f *Forge) CreateLabel(ctx context.Context, owner, name string, l Label) error {
	err := f.write(ctx, func(t *txn) error {
		rp, err := t.repo(owner, name)
		if err != nil {
			return fmt.Errorf("repository: %w", err)
		}
		v := label{Name: l.Name, Color: l.Color, Description: l.Description}
		if v.Color == "" {
			v.Color = defaultColor
		}
		if err := checkLabel(&v); err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO labels (repo_id, name, color, description) VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET color = excluded.color, description = excluded.description", rp.ID, v.Name, v.Color, v.Description)
		return err
	})
	if err != nil {
		return fmt.Errorf("creating label %s in %s/%s: %w", l.Name, owner, name, err)
	}
	return nil
}

// Label is a label to create. Color is six hexadecimal digits.
type Label struct {
	Name        string `json:"name"`
	Color       string `json:"color,omitempty"`
	Description string `json:"description,omitempty"`
}

// CreateHook creates a webhook or, when there is one with the same URL, brings
// its secret and events in line.
func (f *Forge) CreateHook(ctx context.Context, h Hook) error {
	if len(h.Events) == 0 {
		h.Events = []string{"*"}
	}
	events, err := json.Marshal(h.Events)
	if err == nil {
		err = checkHookURL(h.URL)
	}
	if err == nil {
		err = f.write(ctx, func(t *txn) error {
			v := &hook{URL: h.URL, Secret: h.Secret, Events: string(events), Active: true}
			if h.Repo != "" {
				rp, err := t.repo(h.Owner, h.Repo)
				if err != nil {
					return fmt.Errorf("repository: %w", err)
				}
				v.RepoID = rp.ID
			} else {
				o, err := t.org(h.Owner)
				if err != nil {
					return fmt.Errorf("organisation: %w", err)
				}
				v.OrgID = o.ID
			}
			old, err := one(&t.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.org_id = ? AND h.repo_id = ? AND h.url = ?", v.OrgID, v.RepoID, v.URL)
			if errors.Is(err, errNotFound) {
				return t.insertHook(v)
			}
			if err != nil {
				return err
			}
			v.ID = old.ID
			return t.saveHook(v)
		})
	}
	if err != nil {
		return fmt.Errorf("creating webhook of %s to %s: %w", strings.TrimSuffix(h.Owner+"/"+h.Repo, "/"), h.URL, err)
	}
	return nil
}

// CreateRepo creates a repository and fills its default branch.
func (f *Forge) CreateRepo(ctx context.Context, n Repo) error {
	if err := f.createRepo(ctx, n); err != nil {
		return fmt.Errorf("creating repository %s/%s: %w", n.Owner, n.Name, err)
	}
	return nil
}

func (f *Forge) createRepo(ctx context.Context, n Repo) error {
	r := f.read(ctx)
	owner, err := r.account(n.Owner)
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	if n.DefaultBranch == "" {
		n.DefaultBranch = "main"
	}
	rp, err := r.repo(n.Owner, n.Name)
	if errors.Is(err, errNotFound) {
		rp = &repo{Owner: *owner, AllowMerge: true, AllowSquash: true, AllowRebase: true}
		if err := (repoEdit{Name: &n.Name, Description: &n.Description, Private: &n.Private, DefaultBranch: &n.DefaultBranch}).apply(rp); err != nil {
			return err
		}
		err = f.makeRepo(ctx, rp, owner)
	}
	if err != nil {
		return err
	}
	if _, err := r.refSHA(rp.ID, "refs/heads/"+rp.DefaultBranch); !errors.Is(err, errNotFound) {
		return err // there already, or failed
	}
	if n.Source == "" {
		if n.NoInit {
			return nil
		}
		return f.firstCommit(ctx, rp, owner)
	}
	src, err := filepath.Abs(n.Source)
	if err != nil {
		return err
	}
	ref := n.SourceRef
	if ref == "" {
		ref = "HEAD"
	}
	if ref != "HEAD" && !validSHA(ref) && !validBranch(ref) {
		return fmt.Errorf("source ref %q is not valid", ref)
	}
	if err := f.bare(rp.ID).fetch(ctx, src, ref, "refs/heads/"+rp.DefaultBranch); err != nil {
		return err
	}
	return f.syncRefs(ctx, rp.ID, owner)
}

// makeRepo creates row and directory of an empty repository.
func (f *Forge) makeRepo(ctx context.Context, rp *repo, actor *account) error {
	err := f.write(ctx, func(t *txn) error {
		if _, err := t.repo(rp.Owner.Login, rp.Name); err == nil {
			return invalid("Repository", "name", "custom", "name already exists on this account")
		}
		var err error
		rp.Created, rp.Updated = t.now, t.now
		rp.ID, err = t.exec("INSERT INTO repos (owner_id, name, description, private, default_branch, parent_id, pusher_id, copying, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?)",
			rp.Owner.ID, rp.Name, rp.Description, rp.Private, rp.DefaultBranch, rp.ParentID, actor.ID, rp.ParentID != 0, t.now, t.now)
		if err != nil {
			return err
		}
		if err := t.saveRepo(rp, actor, "created", obj{}); err != nil {
			return err
		}
		for _, l := range firstLabels {
			if _, err := t.createLabel(rp, l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.initBare(ctx, rp.ID)
}

// firstLabels are those GitHub gives to new repositories.
var firstLabels = []label{
	{Name: "bug", Color: "d73a4a", Description: "Something isn't working"},
	{Name: "documentation", Color: "0075ca", Description: "Improvements or additions to documentation"},
	{Name: "enhancement", Color: "a2eeef", Description: "New feature or request"},
	{Name: "good first issue", Color: "7057ff", Description: "Good for newcomers"},
	{Name: "help wanted", Color: "008672", Description: "Extra attention is needed"},
	{Name: "question", Color: "d876e3", Description: "Further information is requested"},
}

// firstCommit puts a README on the default branch of an empty repository.
func (f *Forge) firstCommit(ctx context.Context, rp *repo, actor *account) error {
	b := f.bare(rp.ID)
	readme := "# " + rp.Name + "\n"
	if rp.Description != "" {
		readme += "\n" + rp.Description + "\n"
	}
	out, err := b.git.run(ctx, b.dir, input{stdin: strings.NewReader(readme)}, "hash-object", "-w", "--stdin")
	if err != nil {
		return err
	}
	out, err = b.git.run(ctx, b.dir, input{stdin: strings.NewReader("100644 blob " + strings.TrimSpace(string(out)) + "\tREADME.md\n")}, "mktree")
	if err != nil {
		return err
	}
	sha, err := b.commitTree(ctx, strings.TrimSpace(string(out)), nil, f.userSignature(actor), f.forgeSignature(), "Initial commit\n")
	if err != nil {
		return err
	}
	return f.moveRef(ctx, rp, actor, "refs/heads/"+rp.DefaultBranch, sha, "", true)
}

// moveRef creates (from ""), moves or deletes (to "") a ref on behalf of an
// API client. Without force only fast-forwards are allowed.
func (f *Forge) moveRef(ctx context.Context, rp *repo, actor *account, ref, to, from string, force bool) error {
	if to != "" && !validSHA(to) {
		return unprocessable("The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
	}
	unlock := f.lockRepo(rp.ID)
	defer unlock()
	b := f.bare(rp.ID)
	if to != "" {
		kind, _, _, err := b.object(ctx, to)
		if err != nil || kind != "commit" && !strings.HasPrefix(ref, "refs/tags/") {
			return unprocessable("Object does not exist")
		}
		if from != "" && !force {
			ff, err := b.isAncestor(ctx, from, to)
			if err != nil {
				return err
			}
			if !ff {
				return unprocessable("Update is not a fast forward")
			}
		}
	}
	if err := f.mayMove(ctx, rp, actor, refMove{ref, from, to}); err != nil {
		return err
	}
	err := f.write(ctx, func(t *txn) error {
		_, err := t.exec("UPDATE repos SET pusher_id = ? WHERE id = ?", actor.ID, rp.ID)
		return err
	})
	if err != nil {
		return err
	}
	if err := b.updateRef(ctx, ref, to, from); err != nil {
		if !errors.Is(err, errRefMoved) {
			return err
		}
		if from == "" {
			return unprocessable("Reference already exists")
		}
		return unprocessable("Reference update failed")
	}
	return f.syncLocked(ctx, rp.ID, actor)
}

// Fork copies a repository to another account, as its people would with the
// fork button. It returns the fork's name.
func (f *Forge) Fork(ctx context.Context, owner, name, by string) (string, error) {
	r := f.read(ctx)
	rp, err := r.repo(owner, name)
	if err != nil {
		return "", fmt.Errorf("forking %s/%s: %w", owner, name, err)
	}
	a, err := r.account(by)
	if err != nil {
		return "", fmt.Errorf("forking %s/%s for %s: %w", owner, name, by, err)
	}
	fork, err := f.fork(ctx, rp, a, a, "")
	if err != nil {
		return "", fmt.Errorf("forking %s/%s for %s: %w", owner, name, by, err)
	}
	return fork.Name, nil
}

// Seed describes the content of a forge; see the methods of the same names.
type Seed struct {
	Users  []User      `json:"users,omitempty"`
	Orgs   []SeedOrg   `json:"orgs,omitempty"`
	Repos  []SeedRepo  `json:"repos,omitempty"`
	Tokens []SeedToken `json:"tokens,omitempty"`
	Hooks  []Hook      `json:"hooks,omitempty"`
	Apps   []App       `json:"apps,omitempty"`
	// OAuthApps are programs to which people sign in with their account here.
	OAuthApps []OAuthApp `json:"oauth_apps,omitempty"`
}

// SeedOrg is an organisation with its members (login to role) and teams.
type SeedOrg struct {
	Org
	Members map[string]string `json:"members,omitempty"`
	Teams   []Team            `json:"teams,omitempty"`
}

// SeedRepo is a repository with its collaborators (login to permission), labels and forks.
type SeedRepo struct {
	Repo
	Collaborators map[string]string `json:"collaborators,omitempty"`
	Labels        []Label           `json:"labels,omitempty"`
	Forks         []string          `json:"forks,omitempty"`
}

// SeedToken gives an account a token, written out or in a file.
type SeedToken struct {
	Login string `json:"login"`
	Token string `json:"token,omitempty"`
	// TokenFile is read when Token is empty, and written with a new token when it does not exist.
	TokenFile string `json:"token_file,omitempty"`
	// Scopes are the OAuth scopes of the token, comma-separated; empty means all.
	Scopes string `json:"scopes,omitempty"`
}

// ReadSeed reads a seed file. Unknown fields are errors.
func ReadSeed(path string) (Seed, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Seed{}, fmt.Errorf("reading seed: %w", err)
	}
	var s Seed
	if err := yaml.UnmarshalStrict(raw, &s); err != nil {
		return Seed{}, fmt.Errorf("reading seed %s: %w", path, err)
	}
	return s, nil
}

// Apply brings a forge in line with a seed.
func (f *Forge) Apply(ctx context.Context, s Seed) error {
	for _, u := range s.Users {
		if err := f.CreateUser(ctx, u); err != nil {
			return err
		}
	}
	for _, o := range s.Orgs {
		if err := f.CreateOrg(ctx, o.Org); err != nil {
			return err
		}
		for login, role := range o.Members {
			if err := f.AddMember(ctx, o.Login, login, role); err != nil {
				return err
			}
		}
	}
	// Hooks before repositories, so that receivers hear of the first push; teams
	// after them, because teams name repositories.
	for _, h := range s.Hooks {
		if h.Repo == "" {
			if err := f.CreateHook(ctx, h); err != nil {
				return err
			}
		}
	}
	for _, rp := range s.Repos {
		if err := f.seedRepo(ctx, rp); err != nil {
			return err
		}
	}
	for _, h := range s.Hooks {
		if h.Repo != "" {
			if err := f.CreateHook(ctx, h); err != nil {
				return err
			}
		}
	}
	for _, o := range s.Orgs {
		for _, t := range o.Teams {
			if err := f.CreateTeam(ctx, o.Login, t); err != nil {
				return err
			}
		}
	}
	for _, t := range s.Tokens {
		if err := f.seedToken(ctx, t); err != nil {
			return err
		}
	}
	for _, o := range s.OAuthApps {
		if err := f.CreateOAuthApp(ctx, o); err != nil {
			return err
		}
	}
	return f.seedApps(ctx, s.Apps)
}

func (f *Forge) seedRepo(ctx context.Context, rp SeedRepo) error {
	if err := f.CreateRepo(ctx, rp.Repo); err != nil {
		return err
	}
	for login, perm := range rp.Collaborators {
		if err := f.AddCollaborator(ctx, rp.Owner, rp.Name, login, perm); err != nil {
			return err
		}
	}
	for _, l := range rp.Labels {
		if err := f.CreateLabel(ctx, rp.Owner, rp.Name, l); err != nil {
			return err
		}
	}
	for _, by := range rp.Forks {
		if _, err := f.Fork(ctx, rp.Owner, rp.Name, by); err != nil {
			return err
		}
	}
	return nil
}

func (f *Forge) seedToken(ctx context.Context, t SeedToken) error {
	token := t.Token
	if token == "" && t.TokenFile != "" {
		raw, err := os.ReadFile(t.TokenFile)
		switch {
		case errors.Is(err, os.ErrNotExist):
			buf := make([]byte, 20)
			if _, err := rand.Read(buf); err != nil {
				return err
			}
			token = "ghl_" + hex.EncodeToString(buf)
			if err := os.WriteFile(t.TokenFile, []byte(token+"\n"), 0o600); err != nil {
				return fmt.Errorf("writing token of %s: %w", t.Login, err)
			}
		case err != nil:
			return fmt.Errorf("reading token of %s: %w", t.Login, err)
		default:
			token = strings.TrimSpace(string(raw))
		}
	}
	if token == "" {
		return fmt.Errorf("token of %s: neither token nor token_file is set", t.Login)
	}
	_, err := f.createToken(ctx, t.Login, token, t.Scopes)
	return err
}
