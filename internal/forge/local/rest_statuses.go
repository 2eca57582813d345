package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
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
	var kept []checkRun
	for _, k := range all {
		if n := c.query("check_name"); n != "" && n != k.Name {
			continue
		}
		if s := c.query("status"); s != "" && s != k.Status {
			continue
		}
		kept = append(kept, k)
	}
	out, err := each(paginate(c, kept), func(k *checkRun) (obj, error) { return c.checkRunJSON(rp, k) })
	return obj{"total_count": len(kept), "check_runs": out}, err
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
		if k.ID, err = t.exec("INSERT INTO check_runs (repo_id, sha, name, status, conclusion, details_url, external_id, output, creator_id, started, completed) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
			k.RepoID, k.SHA, k.Name, k.Status, k.Conclusion, k.DetailsURL, k.ExternalID, k.Output, k.CreatorID, k.Started, k.Completed); err != nil {
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
	return o, t.emit(rp, actor, "check_run", action, obj{"check_run": o})
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

// listActionRuns answers for a feature this forge does not have: no runs.
func listActionRuns(c *call) (any, error) {
	if _, err := c.theRepo(permRead); err != nil {
		return nil, err
	}
	return obj{"total_count": 0, "workflow_runs": []obj{}}, nil
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
