package local

import (
	"encoding/json"
	"errors"
	"net/http"
)

func (c *call) checkSuitesOf(rp *repo, sha string) (any, error) {
	all, err := list(c.reader, scanSuite, "SELECT "+suiteCols+" FROM check_suites u WHERE u.repo_id = ? AND u.sha = ? ORDER BY u.id", rp.ID, sha)
	if err != nil {
		return nil, err
	}
	var kept []checkSuite
	for _, u := range all {
		if want := c.query("app_id"); want != "" {
			app, err := c.appOf(u.CreatorID)
			if err != nil {
				return nil, err
			}
			if app.idString() != want {
				continue
			}
		}
		if name := c.query("check_name"); name != "" {
			n, err := c.count("SELECT count(*) FROM check_runs WHERE suite_id = ? AND name = ?", u.ID, name)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				continue
			}
		}
		kept = append(kept, u)
	}
	return countedPage(c, "check_suites", kept, func(u *checkSuite) (obj, error) { return c.suiteJSON(rp, u) })
}

func createCheckSuite(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		SHA string `json:"head_sha"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !validSHA(in.SHA) {
		return nil, invalid("CheckSuite", "head_sha", "missing_field", "")
	}
	if _, err := c.f.bare(rp.ID).commit(c.ctx, in.SHA); errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + in.SHA)
	} else if err != nil {
		return nil, err
	}
	status := http.StatusCreated
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		n, err := t.count("SELECT count(*) FROM check_suites WHERE repo_id = ? AND sha = ? AND creator_id = ?", rp.ID, in.SHA, c.viewer.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			status = http.StatusOK
		}
		id, err := t.suite(rp, in.SHA, c.viewer.ID)
		if err != nil {
			return err
		}
		u, err := t.suiteID(rp.ID, id)
		if err != nil {
			return err
		}
		o, err = t.suiteJSON(rp, u)
		return err
	})
	return reply{status: status, body: o}, err
}

// checkSuitePreferences accepts what GitHub stores per App and changes nothing:
// suites here come into being when a run is created.
func checkSuitePreferences(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	var in struct {
		Checks json.RawMessage `json:"auto_trigger_checks"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Checks == nil {
		in.Checks = json.RawMessage("[]")
	}
	return obj{"preferences": obj{"auto_trigger_checks": in.Checks}, "repository": c.f.repoJSON(rp)}, nil
}

func (c *call) suiteOf(need permission) (*repo, *checkSuite, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, err
	}
	u, err := c.suiteID(rp.ID, id)
	return rp, u, err
}

func getCheckSuite(c *call) (any, error) {
	rp, u, err := c.suiteOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.suiteJSON(rp, u)
}

func listSuiteRuns(c *call) (any, error) {
	rp, u, err := c.suiteOf(permRead)
	if err != nil {
		return nil, err
	}
	runs, err := c.suiteRuns(u.ID)
	if c.query("filter") == "all" {
		runs, err = list(c.reader, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.suite_id = ? ORDER BY k.id", u.ID)
	}
	if err != nil {
		return nil, err
	}
	return c.filteredRuns(rp, runs)
}

// rerequestCheckSuite asks the maker of a suite to run it again.
func rerequestCheckSuite(c *call) (any, error) {
	rp, u, err := c.suiteOf(permWrite)
	if err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error { return t.emitSuite(rp, c.viewer, u.ID, "rerequested") })
	if err != nil {
		return nil, err
	}
	return created(obj{})
}

func listAnnotations(c *call) (any, error) {
	_, k, err := c.checkRunOf(permRead)
	if err != nil {
		return nil, err
	}
	var out struct{ Annotations []json.RawMessage }
	if err := json.Unmarshal([]byte(k.Output), &out); err != nil {
		return nil, err
	}
	return paginate(c, out.Annotations), nil
}
