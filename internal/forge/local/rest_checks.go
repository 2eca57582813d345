package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

func checkRoutes() []route {
	const r = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: r + "/statuses/{ref...}", serve: listStatuses},
		{method: "POST", pattern: r + "/statuses/{sha}", serve: createStatus},
		{method: "POST", pattern: r + "/check-runs", serve: createCheckRun},
		{method: "GET", pattern: r + "/check-runs/{id}", serve: getCheckRun},
		{method: "PATCH", pattern: r + "/check-runs/{id}", serve: updateCheckRun},
		{method: "GET", pattern: r + "/check-runs/{id}/annotations", serve: listAnnotations},
		{method: "POST", pattern: r + "/check-runs/{id}/rerequest", serve: rerequestCheckRun},
		{method: "POST", pattern: r + "/check-runs/{id}/requested-action", serve: actOnCheckRun},
		{method: "POST", pattern: r + "/check-suites", serve: createCheckSuite},
		{method: "PATCH", pattern: r + "/check-suites/preferences", serve: checkSuitePreferences},
		{method: "GET", pattern: r + "/check-suites/{id}", serve: getCheckSuite},
		{method: "GET", pattern: r + "/check-suites/{id}/check-runs", serve: listSuiteRuns},
		{method: "POST", pattern: r + "/check-suites/{id}/rerequest", serve: rerequestCheckSuite},
	}
}

func (c *call) checkRunsOf(rp *repo, sha string) (any, error) {
	var all []checkRun
	var err error
	if c.query("filter") == "all" {
		all, err = list(c.reader, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.repo_id = ? AND k.sha = ? ORDER BY k.id", rp.ID, sha)
	} else {
		all, err = c.latestCheckRuns(rp.ID, sha)
	}
	if err != nil {
		return nil, err
	}
	return c.filteredRuns(rp, all)
}

// filteredRuns applies the filters of the lists of check runs.
func (c *call) filteredRuns(rp *repo, all []checkRun) (any, error) {
	var kept []checkRun
	for _, k := range all {
		if n := c.query("check_name"); n != "" && n != k.Name {
			continue
		}
		if s := c.query("status"); s != "" && s != k.Status {
			continue
		}
		if s := c.query("app_id"); s != "" {
			app, err := c.appOf(k.CreatorID)
			if err != nil {
				return nil, err
			}
			if app.idString() != s {
				continue
			}
		}
		kept = append(kept, k)
	}
	return countedPage(c, "check_runs", kept, func(k *checkRun) (obj, error) { return c.checkRunJSON(rp, k) })
}

// checkRunEdit is the body of check run creation and change.
type checkRunEdit struct {
	Name       *string         `json:"name"`
	SHA        string          `json:"head_sha"`
	Status     *string         `json:"status"`
	Conclusion *string         `json:"conclusion"`
	DetailsURL *string         `json:"details_url"`
	ExternalID *string         `json:"external_id"`
	Started    *when           `json:"started_at"`
	Completed  *when           `json:"completed_at"`
	Output     json.RawMessage `json:"output"`
}

func createCheckRun(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in checkRunEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !validSHA(in.SHA) {
		return nil, invalid("CheckRun", "head_sha", "missing_field", "")
	}
	if _, err := c.f.bare(rp.ID).commit(c.ctx, in.SHA); errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + in.SHA)
	} else if err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		k := checkRun{RepoID: rp.ID, SHA: in.SHA, Status: "queued", Output: "{}", CreatorID: c.viewer.ID, Started: t.now}
		if err := in.apply(&k, t.now); err != nil {
			return err
		}
		var err error
		if k.SuiteID, err = t.suite(rp, k.SHA, c.viewer.ID); err != nil {
			return err
		}
		if k.ID, err = t.exec("INSERT INTO check_runs (repo_id, sha, name, status, conclusion, details_url, external_id, output, creator_id, started, completed, suite_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
			k.RepoID, k.SHA, k.Name, k.Status, k.Conclusion, k.DetailsURL, k.ExternalID, k.Output, k.CreatorID, k.Started, k.Completed, k.SuiteID); err != nil {
			return err
		}
		o, err = t.emitCheckRun(rp, c.viewer, &k, "created")
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (t *txn) emitCheckRun(rp *repo, actor *account, k *checkRun, action string) (obj, error) {
	o, err := t.checkRunJSON(rp, k)
	if err != nil {
		return nil, err
	}
	if k.Status == "completed" && action != "created" {
		action = "completed"
	}
	if err := t.emit(rp, actor, "check_run", action, obj{"check_run": o}); err != nil {
		return nil, err
	}
	return o, t.settleSuite(rp, actor, k.SuiteID)
}

func (c *call) checkRunOf(need permission) (*repo, *checkRun, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, err
	}
	k, err := one(c.reader, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.id = ? AND k.repo_id = ?", id, rp.ID)
	return rp, k, err
}

func getCheckRun(c *call) (any, error) {
	rp, k, err := c.checkRunOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.checkRunJSON(rp, k)
}

func updateCheckRun(c *call) (any, error) {
	rp, k, err := c.checkRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in checkRunEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := in.apply(k, t.now); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE check_runs SET name = ?, status = ?, conclusion = ?, details_url = ?, external_id = ?, output = ?, started = ?, completed = ? WHERE id = ?",
			k.Name, k.Status, k.Conclusion, k.DetailsURL, k.ExternalID, k.Output, k.Started, k.Completed, k.ID); err != nil {
			return err
		}
		o, err = t.emitCheckRun(rp, c.viewer, k, "updated")
		return err
	})
	return o, err
}

// maxCheckAnnotations is how many annotations one request may bring.
const maxCheckAnnotations = 50

// mergeOutput replaces what an output says and adds to its annotations.
func mergeOutput(have string, change json.RawMessage) (string, error) {
	var old, out struct {
		Title            *string           `json:"title"`
		Summary          *string           `json:"summary"`
		Text             *string           `json:"text"`
		Annotations      []json.RawMessage `json:"annotations,omitempty"`
		AnnotationsCount int               `json:"annotations_count"`
	}
	if err := json.Unmarshal([]byte(have), &old); err != nil {
		return "", fmt.Errorf("the output of a check run: %w", err)
	}
	if err := json.Unmarshal(change, &out); err != nil || out.Title == nil || out.Summary == nil {
		return "", invalid("CheckRun", "output", "invalid", "")
	}
	if len(out.Annotations) > maxCheckAnnotations {
		return "", invalid("CheckRun", "output.annotations", "too_many", "")
	}
	for _, raw := range out.Annotations {
		var a struct {
			Path      string `json:"path"`
			StartLine int    `json:"start_line"`
			EndLine   int    `json:"end_line"`
			Level     string `json:"annotation_level"`
			Message   string `json:"message"`
		}
		if json.Unmarshal(raw, &a) != nil || a.Path == "" || a.StartLine < 1 || a.EndLine < a.StartLine || a.Message == "" ||
			!slices.Contains([]string{"notice", "warning", "failure"}, a.Level) {
			return "", invalid("CheckRun", "output.annotations", "invalid", "")
		}
	}
	out.Annotations = append(old.Annotations, out.Annotations...)
	out.AnnotationsCount = len(out.Annotations)
	merged, err := json.Marshal(out)
	return string(merged), err
}

// rerequestCheckRun asks the maker of a check run to run it again.
func rerequestCheckRun(c *call) (any, error) {
	return c.askCheckRun("rerequested", nil)
}

// actOnCheckRun presses a button of a check run. GitHub has it on its pages only.
func actOnCheckRun(c *call) (any, error) {
	var in struct {
		Identifier string `json:"identifier"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	return c.askCheckRun("requested_action", obj{"identifier": in.Identifier})
}

func (c *call) askCheckRun(action string, requested obj) (any, error) {
	rp, k, err := c.checkRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		o, err := t.checkRunJSON(rp, k)
		if err != nil {
			return err
		}
		payload := obj{"check_run": o}
		if requested != nil {
			payload["requested_action"] = requested
		}
		return t.emit(rp, c.viewer, "check_run", action, payload)
	})
	if err != nil {
		return nil, err
	}
	return created(obj{})
}

func (e checkRunEdit) apply(k *checkRun, now when) error {
	set(&k.Name, e.Name)
	set(&k.Status, e.Status)
	set(&k.Conclusion, e.Conclusion)
	set(&k.DetailsURL, e.DetailsURL)
	set(&k.ExternalID, e.ExternalID)
	set(&k.Started, e.Started)
	set(&k.Completed, e.Completed)
	if len(e.Output) > 0 {
		var err error
		if k.Output, err = mergeOutput(k.Output, e.Output); err != nil {
			return err
		}
	}
	if e.Conclusion != nil && *e.Conclusion != "" {
		k.Status = "completed"
	}
	switch k.Status {
	case "queued", "in_progress":
		k.Completed, k.Conclusion = when{}, ""
	case "completed":
		if k.Completed.IsZero() {
			k.Completed = now
		}
		switch k.Conclusion {
		case "success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale":
		default:
			return invalid("CheckRun", "conclusion", "invalid", "")
		}
	default:
		return invalid("CheckRun", "status", "invalid", "")
	}
	return checkText("CheckRun", "name", k.Name, 255, true)
}
