package local

import "errors"

// checkSuite gathers the check runs of one maker for one commit.
type checkSuite struct {
	ID, RepoID       int64
	SHA, Branch      string
	CreatorID        int64
	Created, Updated when
}

const suiteCols = "u.id, u.repo_id, u.sha, u.branch, u.creator_id, u.created, u.updated"

func scanSuite(s scanner, u *checkSuite) error {
	return s.Scan(&u.ID, &u.RepoID, &u.SHA, &u.Branch, &u.CreatorID, &u.Created, &u.Updated)
}

func (r *reader) suiteID(repoID, id int64) (*checkSuite, error) {
	return one(r, scanSuite, "SELECT "+suiteCols+" FROM check_suites u WHERE u.id = ? AND u.repo_id = ?", id, repoID)
}

// suiteRuns returns the newest run per name of a suite.
func (r *reader) suiteRuns(suite int64) ([]checkRun, error) {
	return list(r, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.id IN (SELECT max(id) FROM check_runs WHERE suite_id = ? GROUP BY name) ORDER BY k.id", suite)
}

// suite returns the suite of a maker for a commit, creating it.
func (t *txn) suite(rp *repo, sha string, creator int64) (int64, error) {
	have, err := one(&t.reader, scalar[int64], "SELECT id FROM check_suites WHERE repo_id = ? AND sha = ? AND creator_id = ?", rp.ID, sha, creator)
	if err == nil {
		return *have, nil
	}
	if !errors.Is(err, errNotFound) {
		return 0, err
	}
	branch, err := one(&t.reader, scalar[string], "SELECT substr(name, 12) FROM refs WHERE repo_id = ? AND sha = ? AND name LIKE 'refs/heads/%' ORDER BY name", rp.ID, sha)
	if errors.Is(err, errNotFound) {
		branch, err = new(string), nil
	}
	if err != nil {
		return 0, err
	}
	return t.exec("INSERT INTO check_suites (repo_id, sha, branch, creator_id, created, updated) VALUES (?,?,?,?,?,?)", rp.ID, sha, *branch, creator, t.now, t.now)
}

// severity orders conclusions: that of a suite is the worst of its runs.
var severity = map[string]int{"success": 0, "neutral": 1, "skipped": 1, "stale": 2, "cancelled": 3, "timed_out": 4, "action_required": 5, "failure": 6}

// suiteState folds the runs of a suite.
func suiteState(runs []checkRun) (status, conclusion string) {
	if len(runs) == 0 {
		return "queued", ""
	}
	status, conclusion = "completed", "success"
	started := false
	for _, k := range runs {
		switch {
		case k.Status != "completed":
			status = "queued"
			started = started || k.Status == "in_progress"
		case severity[k.Conclusion] > severity[conclusion]:
			conclusion = k.Conclusion
			started = true
		default:
			started = true
		}
	}
	if status != "completed" {
		conclusion = ""
		if started {
			status = "in_progress"
		}
	}
	return status, conclusion
}

// settleSuite tells the world when all runs of a suite have ended.
func (t *txn) settleSuite(rp *repo, actor *account, id int64) error {
	if _, err := t.exec("UPDATE check_suites SET updated = ? WHERE id = ?", t.now, id); err != nil {
		return err
	}
	runs, err := t.suiteRuns(id)
	if err != nil {
		return err
	}
	if status, _ := suiteState(runs); status != "completed" {
		return nil
	}
	return t.emitSuite(rp, actor, id, "completed")
}

func (t *txn) emitSuite(rp *repo, actor *account, id int64, action string) error {
	u, err := t.suiteID(rp.ID, id)
	if err != nil {
		return err
	}
	o, err := t.suiteJSON(rp, u)
	if err != nil {
		return err
	}
	return t.emit(rp, actor, "check_suite", action, obj{"check_suite": o})
}

func (r *reader) suiteJSON(rp *repo, u *checkSuite) (obj, error) {
	runs, err := r.suiteRuns(u.ID)
	if err != nil {
		return nil, err
	}
	app, err := r.appJSON(u.CreatorID)
	if err != nil {
		return nil, err
	}
	pulls, err := r.pullsAt(rp, u.SHA)
	if err != nil {
		return nil, err
	}
	status, conclusion := suiteState(runs)
	self := r.f.api("/repos/%s/check-suites/%d", rp.fullName(), u.ID)
	return obj{
		"id": u.ID, "node_id": nodeID("CS", u.ID), "head_branch": orNull(u.Branch), "head_sha": u.SHA, "status": status, "conclusion": orNull(conclusion),
		"url": self, "before": nil, "after": u.SHA, "pull_requests": pulls, "app": app, "repository": r.f.repoJSON(rp), "created_at": u.Created, "updated_at": u.Updated,
		"head_commit": obj{"id": u.SHA}, "latest_check_runs_count": len(runs), "check_runs_url": self + "/check-runs", "rerequestable": true, "runs_rerequestable": true,
	}, nil
}

// pullsAt names the open pull requests of a repository whose head is a commit.
func (r *reader) pullsAt(rp *repo, sha string) ([]obj, error) {
	all, err := list(r, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.repo_id = ? AND i.state = 'open' AND p.head_sha = ? ORDER BY i.number", rp.ID, sha)
	if err != nil {
		return nil, err
	}
	return each(all, func(i *issue) (obj, error) {
		head := obj{"id": i.Pull.HeadRepoID, "url": r.f.api("/repositories/%d", i.Pull.HeadRepoID), "name": ""}
		if h, err := r.headRepo(rp, i.Pull); err != nil {
			return nil, err
		} else if h != nil {
			head["name"], head["url"] = h.Name, r.f.api("/repos/%s", h.fullName())
		}
		return obj{
			"id": i.ID, "number": i.Number, "url": r.f.api("/repos/%s/pulls/%d", rp.fullName(), i.Number),
			"head": obj{"ref": i.Pull.HeadRef, "sha": i.Pull.HeadSHA, "repo": head},
			"base": obj{"ref": i.Pull.BaseRef, "sha": i.Pull.BaseSHA, "repo": obj{"id": rp.ID, "name": rp.Name, "url": r.f.api("/repos/%s", rp.fullName())}},
		}, nil
	})
}
