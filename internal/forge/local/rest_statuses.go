package local

import (
	"errors"
	"net/url"
)

func (c *call) combinedStatus(rp *repo, sha string) (any, error) {
	all, err := c.latestStatuses(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	state := combinedState(all)
	out, err := each(paginate(c, all), func(s *status) (obj, error) { return c.statusJSON(rp, s) })
	u := c.f.api("/repos/%s/commits/%s", rp.fullName(), sha)
	return obj{"state": state, "sha": sha, "total_count": len(all), "statuses": out, "repository": c.f.repoJSON(rp), "commit_url": u, "url": u + "/status"}, err
}

func (c *call) statusesOf(rp *repo, sha string) (any, error) {
	all, err := list(c.reader, scanStatus, "SELECT "+statusCols+" FROM statuses s WHERE s.repo_id = ? AND s.sha = ? ORDER BY s.id DESC", rp.ID, sha)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(s *status) (obj, error) { return c.statusJSON(rp, s) })
}

func listStatuses(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	sha, err := c.f.bare(rp.ID).resolve(c.ctx, c.params["ref"])
	if err != nil {
		return nil, err
	}
	return c.statusesOf(rp, sha)
}

func (c *call) pullsOf(rp *repo, sha string) (any, error) {
	all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.repo_id = ? AND (p.head_sha = ? OR p.merge_sha = ?) ORDER BY i.number DESC", rp.ID, sha, sha)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(i *issue) (obj, error) { return c.pullJSON(rp, i, nil) })
}

func createStatus(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		State       string `json:"state"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
		Context     string `json:"context"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	sha := c.params["sha"]
	if !validSHA(sha) {
		return nil, unprocessable("No commit found for SHA: " + truncate(sha, 100))
	}
	if in.TargetURL != "" {
		if u, err := url.Parse(in.TargetURL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
		}
	}
	cm, err := c.f.bare(rp.ID).commit(c.ctx, sha)
	if errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + sha)
	}
	if err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		s, err := t.addStatus(rp, cm, c.viewer, status{State: in.State, TargetURL: in.TargetURL, Description: in.Description, Context: in.Context})
		if err != nil {
			return err
		}
		o, err = t.statusJSON(rp, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}
