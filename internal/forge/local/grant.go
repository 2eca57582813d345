package local

// grant is what an installation of a GitHub App may do, as far as its token
// was not narrowed.
type grant struct {
	InstallationID, OwnerID int64
	// Repos are the repositories it reaches; nil means all of the owner.
	Repos map[int64]bool
	// Permissions maps names ("issues") to levels ("read", "write", "admin").
	Permissions map[string]string
}

// covers says whether the installation belongs to an account. A nil grant covers nothing.
func (g *grant) covers(ownerID int64) bool { return g != nil && g.OwnerID == ownerID }

// reaches says whether a repository is part of the installation.
func (g *grant) reaches(rp *repo) bool {
	return g.covers(rp.Owner.ID) && (g.Repos == nil || g.Repos[rp.ID])
}

// permission is the level on a repository. Operations check the permissions of
// the App by name; beyond that it may act as an administrator.
func (g *grant) permission(rp *repo) permission {
	if !g.reaches(rp) {
		return permNone
	}
	return permAdmin
}
