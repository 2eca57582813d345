package local

import (
	"errors"
	"fmt"
)

// permission is what an account may do with a repository; higher includes lower.
type permission int

const (
	permNone permission = iota
	permRead
	permTriage
	permWrite
	permMaintain
	permAdmin
)

var permNames = [...]string{"none", "read", "triage", "write", "maintain", "admin"}

func (p permission) String() string { return permNames[p] }

// legacy is the coarse word of the collaborator permission API; the exact one
// is its role_name.
func (p permission) legacy() string {
	switch p {
	case permMaintain:
		return "write"
	case permTriage:
		return "read"
	}
	return p.String()
}

// parsePermission accepts both vocabularies, "pull" and "push" included.
func parsePermission(s string) (permission, error) {
	switch s {
	case "pull":
		return permRead, nil
	case "push":
		return permWrite, nil
	}
	for i, n := range permNames {
		if n == s {
			return permission(i), nil
		}
	}
	return permNone, fmt.Errorf("unknown permission %q: want none, read, triage, write, maintain or admin", s)
}

func (p permission) booleans() obj {
	return obj{"pull": p >= permRead, "triage": p >= permTriage, "push": p >= permWrite, "maintain": p >= permMaintain, "admin": p >= permAdmin}
}

// teamWord is the word for the permission of a team.
func (p permission) teamWord() string {
	switch p {
	case permRead:
		return "pull"
	case permWrite:
		return "push"
	}
	return p.String()
}

// orgRole returns "admin", "member" or "".
func (r *reader) orgRole(orgID, userID int64) (string, error) {
	role, err := one(r, scalar[string], "SELECT role FROM members WHERE org_id = ? AND user_id = ?", orgID, userID)
	if errors.Is(err, errNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return *role, nil
}

// granted is what was given to an account explicitly: ownership, membership,
// team or collaboration. Public visibility is not part of it.
func (r *reader) granted(rp *repo, a *account) (permission, error) {
	if a == nil || a.ID == 0 {
		return permNone, nil
	}
	if a.Admin || a.ID == rp.Owner.ID {
		return permAdmin, nil
	}
	if a.grant != nil {
		return a.grant.permission(rp), nil
	}
	best := permNone
	raise := func(name string) error {
		p, err := parsePermission(name)
		best = max(best, p)
		return err
	}
	if rp.Owner.Kind == kindOrg {
		role, err := r.orgRole(rp.Owner.ID, a.ID)
		switch {
		case err != nil:
			return permNone, err
		case role == "admin":
			return permAdmin, nil
		case role != "":
			if err := raise(rp.Owner.DefaultPerm); err != nil {
				return permNone, err
			}
		}
	}
	// What a team has, the teams below it have too.
	names, err := list(r, scalar[string], `SELECT permission FROM collaborators WHERE repo_id = ?1 AND user_id = ?2
		UNION SELECT x.permission FROM team_repos x WHERE x.repo_id = ?1 AND x.team_id IN (
			WITH RECURSIVE up(id) AS (SELECT m.team_id FROM team_members m WHERE m.user_id = ?2 UNION SELECT t.parent_id FROM teams t JOIN up ON t.id = up.id WHERE t.parent_id != 0)
			SELECT id FROM up)`,
		rp.ID, a.ID)
	if err != nil {
		return permNone, err
	}
	for _, n := range names {
		if err := raise(n); err != nil {
			return permNone, err
		}
	}
	return best, nil
}

// permission is what an account (nil: an anonymous visitor) may do.
func (r *reader) permission(rp *repo, a *account) (permission, error) {
	p, err := r.granted(rp, a)
	if err != nil {
		return permNone, err
	}
	if p == permNone && !rp.Private && (a != nil || r.f.opts.AnonymousRead) {
		return permRead, nil
	}
	return p, nil
}
