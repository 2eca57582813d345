package local

import (
	"errors"
	"net/http"
)

func userRoutes() []route {
	return []route{
		{method: "GET", pattern: "/", serve: getRoot},
		{method: "GET", pattern: "/meta", serve: getMeta},
		{method: "GET", pattern: "/zen", serve: getZen},
		{method: "GET", pattern: "/emojis", serve: func(*call) (any, error) { return obj{}, nil }},
		{method: "GET", pattern: "/versions", serve: func(*call) (any, error) { return []string{apiVersion}, nil }},
		{method: "GET", pattern: "/rate_limit", serve: getRateLimit},
		{method: "GET", pattern: "/user", serve: getMe},
		{method: "PATCH", pattern: "/user", serve: editMe},
		{method: "GET", pattern: "/user/emails", serve: listMyEmails},
		{method: "GET", pattern: "/user/orgs", serve: listMyOrgs},
		{method: "GET", pattern: "/user/teams", serve: listMyTeams},
		{method: "GET", pattern: "/user/memberships/orgs", serve: listMyMemberships},
		{method: "GET", pattern: "/user/memberships/orgs/{org}", serve: getMyMembership},
		{method: "PATCH", pattern: "/user/memberships/orgs/{org}", serve: acceptMembership},
		{method: "GET", pattern: "/user/repository_invitations", serve: listMyRepoInvitations},
		{method: "PATCH", pattern: "/user/repository_invitations/{id}", serve: answerRepoInvitation},
		{method: "DELETE", pattern: "/user/repository_invitations/{id}", serve: answerRepoInvitation},
		{method: "GET", pattern: "/users", serve: listUsers},
		{method: "GET", pattern: "/users/{user}", serve: getUser},
		{method: "GET", pattern: "/users/{user}/orgs", serve: listUserOrgs},
		{method: "GET", pattern: "/user/{id}", serve: getUserByID},
	}
}

// apiVersion is the version of the REST API that the forge follows.
const apiVersion = "2022-11-28"

func getRoot(c *call) (any, error) {
	return obj{"current_user_url": c.f.api("/user"), "rate_limit_url": c.f.api("/rate_limit"), "repository_url": c.f.api("/repos/{owner}/{repo}")}, nil
}

func getMeta(c *call) (any, error) {
	return obj{"verifiable_password_authentication": false, "installed_version": "3.17.0"}, nil
}

func getZen(*call) (any, error) {
	return reply{status: http.StatusOK, raw: []byte(zen), kind: "text/plain; charset=utf-8"}, nil
}

func getMe(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.userFullJSON(c.viewer)
}

func editMe(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	var in struct{ Name, Email *string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	me := *c.viewer
	set(&me.Name, in.Name)
	set(&me.Email, in.Email)
	err := errors.Join(checkText("User", "name", me.Name, 255, false), checkText("User", "email", me.Email, 255, false))
	if err == nil {
		err = c.f.write(c.ctx, func(t *txn) error {
			_, err := t.exec("UPDATE accounts SET name = ?, email = ? WHERE id = ?", me.Name, me.Email, me.ID)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return c.userFullJSON(&me)
}

func listMyEmails(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	out := []obj{}
	if c.viewer.Email != "" {
		out = append(out, obj{"email": c.viewer.Email, "verified": true, "primary": true, "visibility": "public"})
	}
	return paginate(c, out), nil
}

func getUser(c *call) (any, error) {
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return c.userFullJSON(a)
}

func getUserByID(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	a, err := c.accountID(id)
	if err == nil && a.ID == 0 {
		err = errNotFound
	}
	if err != nil {
		return nil, err
	}
	return c.userFullJSON(a)
}

func listUsers(c *call) (any, error) {
	since := 0
	if n, err := parseCount(c.query("since")); err == nil {
		since = n
	}
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.id > ? ORDER BY a.id", since)
	if err != nil {
		return nil, err
	}
	return c.f.usersJSON(paginate(c, all)), nil
}

func (c *call) orgsOf(userID int64) (any, error) {
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN members m ON m.org_id = a.id WHERE m.user_id = ? ORDER BY a.login", userID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(a *account) (obj, error) { return c.f.orgJSON(a), nil })
}

func listMyOrgs(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.orgsOf(c.viewer.ID)
}

func listUserOrgs(c *call) (any, error) {
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return c.orgsOf(a.ID)
}

func listMyTeams(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanTeam, "SELECT "+teamCols+" FROM teams t JOIN team_members m ON m.team_id = t.id WHERE m.user_id = ? ORDER BY t.id", c.viewer.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(t *team) (obj, error) {
		org, err := c.accountID(t.OrgID)
		if err != nil {
			return nil, err
		}
		return c.teamFullJSON(org, t)
	})
}

// listMyMemberships shows the organisations of the caller and those that have invited them.
func listMyMemberships(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	state := c.query("state")
	if state != "" && state != "active" && state != "pending" {
		return nil, invalid("Membership", "state", "invalid", "")
	}
	type row struct {
		account
		role, state string
	}
	all, err := list(c.reader, func(s scanner, v *row) error { return s.Scan(append(v.fields(), &v.role, &v.state)...) },
		"SELECT "+accountCols+`, x.role, x.state FROM accounts a JOIN (
			SELECT org_id, role, 'active' AS state FROM members WHERE user_id = ?
			UNION ALL SELECT org_id, CASE role WHEN 'admin' THEN 'admin' ELSE 'member' END, 'pending' FROM org_invitations WHERE user_id = ? AND failed = 0
		) x ON x.org_id = a.id WHERE ? IN ('', x.state) ORDER BY a.login`, c.viewer.ID, c.viewer.ID, state)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(v *row) (obj, error) { return c.membershipJSON(&v.account, c.viewer, v.role, v.state), nil })
}

func getMyMembership(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	c.params["user"] = c.viewer.Login
	return getMembership(c)
}

// acceptMembership accepts an invitation of an organisation.
func acceptMembership(c *call) (any, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	if err := c.login(); err != nil {
		return nil, err
	}
	var in struct{ State string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.State != "active" {
		return nil, invalid("Membership", "state", "invalid", "")
	}
	role := ""
	err = c.f.write(c.ctx, func(t *txn) error {
		if role, err = t.orgRole(org.ID, c.viewer.ID); err != nil || role != "" {
			return err
		}
		role, err = t.acceptOrg(org, c.viewer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.membershipJSON(org, c.viewer, role, "active"), nil
}
