package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

func appRoutes() []route {
	return []route{
		{method: "GET", pattern: "/app", serve: getApp, auth: asApp},
		{method: "GET", pattern: "/app/hook/config", serve: getAppHook, auth: asApp},
		{method: "PATCH", pattern: "/app/hook/config", serve: editAppHook, auth: asApp},
		{method: "GET", pattern: "/app/hook/deliveries", serve: listDeliveries, auth: asApp},
		{method: "GET", pattern: "/app/hook/deliveries/{delivery}", serve: getDelivery, auth: asApp},
		{method: "POST", pattern: "/app/hook/deliveries/{delivery}/attempts", serve: redeliver, auth: asApp},
		{method: "GET", pattern: "/app/installations", serve: listInstallations, auth: asApp},
		{method: "GET", pattern: "/app/installations/{id}", serve: getInstallation, auth: asApp},
		{method: "DELETE", pattern: "/app/installations/{id}", serve: deleteInstallation, auth: asApp},
		{method: "PUT", pattern: "/app/installations/{id}/suspended", serve: suspendInstallation, auth: asApp},
		{method: "DELETE", pattern: "/app/installations/{id}/suspended", serve: suspendInstallation, auth: asApp},
		{method: "POST", pattern: "/app/installations/{id}/access_tokens", serve: createInstallationToken, auth: asApp},
		{method: "GET", pattern: "/orgs/{org}/installation", serve: installationOfOwner, auth: asApp},
		{method: "GET", pattern: "/users/{org}/installation", serve: installationOfOwner, auth: asApp},
		{method: "GET", pattern: "/repos/{owner}/{repo}/installation", serve: installationOfRepo, auth: asApp},
		{method: "GET", pattern: "/orgs/{org}/installations", serve: listOrgInstallations},
		{method: "GET", pattern: "/apps/{slug}", serve: getAppBySlug},
		{method: "GET", pattern: "/installation/repositories", serve: listGrantedRepos},
		{method: "DELETE", pattern: "/installation/token", serve: revokeInstallationToken},
		{method: "GET", pattern: "/user/installations", serve: listMyInstallations},
	}
}

func getApp(c *call) (any, error) {
	o, err := c.appObj(c.app)
	if err != nil {
		return nil, err
	}
	o["installations_count"], err = c.count("SELECT count(*) FROM installations WHERE app_id = ?", c.app.ID)
	return o, err
}

func getAppBySlug(c *call) (any, error) {
	p, err := one(c.reader, scanApp, "SELECT "+appCols+" FROM apps p WHERE p.slug = ?", c.params["slug"])
	if err != nil {
		return nil, err
	}
	return c.appObj(p)
}

func (c *call) appHook() (*hook, error) {
	return one(c.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.app_id = ?", c.app.ID)
}

func hookConfigJSON(h *hook) obj {
	o := obj{"url": h.URL, "content_type": h.ContentType, "insecure_ssl": "0"}
	if h.Secret != "" {
		o["secret"] = "********"
	}
	return o
}

func getAppHook(c *call) (any, error) {
	h, err := c.appHook()
	if err != nil {
		return nil, err
	}
	return hookConfigJSON(h), nil
}

func editAppHook(c *call) (any, error) {
	h, err := c.appHook()
	if err != nil {
		return nil, err
	}
	var in hookConfig
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(h); err != nil {
		return nil, err
	}
	return hookConfigJSON(h), c.f.write(c.ctx, func(t *txn) error { return t.saveHook(h) })
}

func listInstallations(c *call) (any, error) {
	all, err := list(c.reader, scanInstallation, "SELECT "+installationCols+" FROM installations s WHERE s.app_id = ? ORDER BY s.id", c.app.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), c.installationJSON)
}

func (c *call) installationOf() (*installation, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return one(c.reader, scanInstallation, "SELECT "+installationCols+" FROM installations s WHERE s.id = ? AND s.app_id = ?", id, c.app.ID)
}

func getInstallation(c *call) (any, error) {
	v, err := c.installationOf()
	if err != nil {
		return nil, err
	}
	return c.installationJSON(v)
}

func deleteInstallation(c *call) (any, error) {
	v, err := c.installationOf()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if err := t.emitInstallation(v, c.app, "deleted"); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM tokens WHERE installation_id = ?", v.ID); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM installations WHERE id = ?", v.ID)
		return err
	})
}

func suspendInstallation(c *call) (any, error) {
	v, err := c.installationOf()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		at, action := when{}, "unsuspend"
		if c.http.Method == http.MethodPut {
			at, action = t.now, "suspend"
		}
		if _, err := t.exec("UPDATE installations SET suspended = ?, updated = ? WHERE id = ?", at, t.now, v.ID); err != nil {
			return err
		}
		v.Suspended = at
		return t.emitInstallation(v, c.app, action)
	})
}

// installationTokenLife is GitHub's.
const installationTokenLife = time.Hour

// createInstallationToken makes a token with the permissions and repositories
// of the installation, or with those of them that the request names.
func createInstallationToken(c *call) (any, error) {
	v, err := c.installationOf()
	if err != nil {
		return nil, err
	}
	if !v.Suspended.IsZero() {
		return nil, forbidden("This installation has been suspended")
	}
	var in struct {
		Repositories []string          `json:"repositories"`
		IDs          []int64           `json:"repository_ids"`
		Permissions  map[string]string `json:"permissions"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	perms := v.Permissions
	if in.Permissions != nil {
		perms = words{}
		for name, level := range in.Permissions {
			if levelOf(v.Permissions[name]) < levelOf(level) || levelOf(level) == 0 {
				return nil, unprocessable("The permissions requested are not granted to this installation.")
			}
			perms[name] = level
		}
		perms["metadata"] = "read"
	}
	allowed, err := c.installationRepos(v)
	if err != nil {
		return nil, err
	}
	var only []int64
	refuse := unprocessable("There is at least one repository that does not exist or is not accessible to the parent installation.")
	for _, name := range in.Repositories {
		id, err := one(c.reader, scalar[int64], "SELECT id FROM repos WHERE owner_id = ? AND name = ?", v.AccountID, name)
		if errors.Is(err, errNotFound) {
			return nil, refuse
		}
		if err != nil {
			return nil, err
		}
		in.IDs = append(in.IDs, *id)
	}
	shown := []obj{}
	for _, id := range in.IDs {
		rp, err := c.repoID(id)
		if errors.Is(err, errNotFound) || err == nil && (rp.Owner.ID != v.AccountID || allowed != nil && !allowed[id]) {
			return nil, refuse
		}
		if err != nil {
			return nil, err
		}
		only = append(only, id)
		shown = append(shown, c.f.repoJSON(rp))
	}
	reposJSON, err := json.Marshal(only)
	if err != nil {
		return nil, err
	}
	token := "ghs_" + rand.Text() + rand.Text()
	expires := when{c.f.clock.Now().Add(installationTokenLife).UTC()}
	err = c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("DELETE FROM tokens WHERE installation_id != 0 AND expires < ?", t.now); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO tokens (hash, account_id, expires, created, installation_id, permissions, repos) VALUES (?,?,?,?,?,?,?)", tokenHash(token), c.app.BotID, expires, t.now, v.ID, perms, string(reposJSON))
		return err
	})
	if err != nil {
		return nil, err
	}
	selection := "all"
	if v.Selected || only != nil {
		selection = "selected"
	}
	o := obj{"token": token, "expires_at": expires, "permissions": perms, "repository_selection": selection}
	if only != nil {
		o["repositories"] = shown
	}
	return created(o)
}

func (c *call) installationFor(ownerID int64) (*installation, error) {
	return one(c.reader, scanInstallation, "SELECT "+installationCols+" FROM installations s WHERE s.app_id = ? AND s.account_id = ?", c.app.ID, ownerID)
}

func installationOfOwner(c *call) (any, error) {
	a, err := c.account(c.params["org"])
	if err != nil {
		return nil, err
	}
	v, err := c.installationFor(a.ID)
	if err != nil {
		return nil, err
	}
	return c.installationJSON(v)
}

func installationOfRepo(c *call) (any, error) {
	rp, err := c.repo(c.params["owner"], c.params["repo"])
	if err != nil {
		return nil, err
	}
	v, err := c.installationFor(rp.Owner.ID)
	if err != nil {
		return nil, err
	}
	repos, err := c.installationRepos(v)
	if err == nil && repos != nil && !repos[rp.ID] {
		err = errNotFound
	}
	if err != nil {
		return nil, err
	}
	return c.installationJSON(v)
}

func (c *call) installationList(where string, args ...any) (any, error) {
	all, err := list(c.reader, scanInstallation, "SELECT "+installationCols+" FROM installations s WHERE "+where+" ORDER BY s.id", args...)
	if err != nil {
		return nil, err
	}
	return countedPage(c, "installations", all, c.installationJSON)
}

func listOrgInstallations(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	return c.installationList("s.account_id = ?", org.ID)
}

func listMyInstallations(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.installationList("s.account_id = ? OR s.account_id IN (SELECT org_id FROM members WHERE user_id = ?)", c.viewer.ID, c.viewer.ID)
}

func (c *call) installed() (*grant, error) {
	if c.viewer == nil {
		return nil, errRequiresAuth
	}
	if c.viewer.grant == nil {
		return nil, forbidden("You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	return c.viewer.grant, nil
}

func listGrantedRepos(c *call) (any, error) {
	g, err := c.installed()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.owner_id = ? AND r.copying = 0 ORDER BY r.id", g.OwnerID)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(rp repo) bool { return !g.reaches(&rp) })
	out, err := countedPage(c, "repositories", all, func(rp *repo) (obj, error) { return c.f.repoJSON(rp), nil })
	if err != nil {
		return nil, err
	}
	out["repository_selection"] = "all"
	if g.Repos != nil {
		out["repository_selection"] = "selected"
	}
	return out, nil
}

func revokeInstallationToken(c *call) (any, error) {
	if _, err := c.installed(); err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM tokens WHERE hash = ?", tokenHash(bearer(c.http)))
		return err
	})
}

// emitInstallation tells an App about one of its installations.
func (t *txn) emitInstallation(v *installation, p *app, action string) error {
	o, err := t.installationJSON(v)
	if err != nil {
		return err
	}
	sender, err := t.userIDJSON(v.AccountID)
	if err != nil {
		return err
	}
	hooks, err := list(&t.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.active AND h.app_id = ?", p.ID)
	if err != nil {
		return err
	}
	for i := range hooks {
		if err := t.deliver(&hooks[i], 0, v.ID, "installation", action, obj{"action": action, "installation": o, "repositories": []obj{}, "requester": nil, "sender": sender}); err != nil {
			return err
		}
	}
	return nil
}

func i64(n int64) string { return strconv.FormatInt(n, 10) }
