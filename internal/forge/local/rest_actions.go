package local

import (
	"errors"
	"net/http"
	"strings"
)

// actionRoutes are the operations on workflow runs. The forge runs no
// workflows: runs are seeded, and change when somebody asks for them.
func actionRoutes() []route {
	const r = "/repos/{owner}/{repo}/actions"
	return []route{
		{method: "GET", pattern: r + "/runs", serve: listActionRuns},
		{method: "GET", pattern: r + "/runs/{id}", serve: getActionRun},
		{method: "DELETE", pattern: r + "/runs/{id}", serve: deleteActionRun},
		{method: "GET", pattern: r + "/runs/{id}/jobs", serve: listActionJobs},
		{method: "POST", pattern: r + "/runs/{id}/rerun", serve: rerunAll},
		{method: "POST", pattern: r + "/runs/{id}/rerun-failed-jobs", serve: rerunFailed},
		{method: "POST", pattern: r + "/runs/{id}/approve", serve: approveRun},
		{method: "POST", pattern: r + "/runs/{id}/cancel", serve: cancelRun},
		{method: "GET", pattern: r + "/workflows", serve: listWorkflows},
		{method: "GET", pattern: r + "/jobs/{id}", serve: getActionJob},
	}
}

// workflowRun is one run of a workflow.
type workflowRun struct {
	ID, RepoID         int64
	Name, Path         string
	Number, Attempt    int
	Event, Branch, SHA string
	Status, Conclusion string
	ActorID            int64
	Created, Updated   when
}

const workflowRunCols = "w.id, w.repo_id, w.name, w.path, w.number, w.attempt, w.event, w.branch, w.sha, w.status, w.conclusion, w.actor_id, w.created, w.updated"

func scanWorkflowRun(s scanner, w *workflowRun) error {
	return s.Scan(&w.ID, &w.RepoID, &w.Name, &w.Path, &w.Number, &w.Attempt, &w.Event, &w.Branch, &w.SHA, &w.Status, &w.Conclusion, &w.ActorID, &w.Created, &w.Updated)
}

// workflowJob is one job of a run.
type workflowJob struct {
	ID, RunID                int64
	Attempt                  int
	Name, Status, Conclusion string
	Started, Completed       when
}

const workflowJobCols = "j.id, j.run_id, j.attempt, j.name, j.status, j.conclusion, j.started, j.completed"

func scanWorkflowJob(s scanner, j *workflowJob) error {
	return s.Scan(&j.ID, &j.RunID, &j.Attempt, &j.Name, &j.Status, &j.Conclusion, &j.Started, &j.Completed)
}

func (r *reader) workflowRunJSON(rp *repo, w *workflowRun) (obj, error) {
	actor, err := r.userIDJSON(w.ActorID)
	if err != nil {
		return nil, err
	}
	pulls, err := r.pullsAt(rp, w.SHA)
	if err != nil {
		return nil, err
	}
	u := r.f.api("/repos/%s/actions/runs/%d", rp.fullName(), w.ID)
	return obj{
		"id": w.ID, "node_id": nodeID("WFR", w.ID), "name": w.Name, "display_title": w.Name, "path": w.Path, "head_branch": w.Branch, "head_sha": w.SHA,
		"run_number": w.Number, "run_attempt": w.Attempt, "event": w.Event, "status": w.Status, "conclusion": orNull(w.Conclusion), "workflow_id": workflowID(w.Path),
		"check_suite_id": w.ID, "check_suite_node_id": nodeID("CS", w.ID), "url": u, "html_url": r.f.web("/%s/actions/runs/%d", rp.fullName(), w.ID),
		"pull_requests": pulls, "created_at": w.Created, "updated_at": w.Updated, "run_started_at": w.Created, "actor": actor, "triggering_actor": actor,
		"jobs_url": u + "/jobs", "logs_url": u + "/logs", "artifacts_url": u + "/artifacts", "cancel_url": u + "/cancel", "rerun_url": u + "/rerun",
		"workflow_url": r.f.api("/repos/%s/actions/workflows/%d", rp.fullName(), workflowID(w.Path)), "repository": r.f.repoJSON(rp), "head_repository": r.f.repoJSON(rp),
	}, nil
}

// workflowID is a stable number for a workflow file.
func workflowID(path string) int64 {
	n := int64(17)
	for _, b := range []byte(path) {
		n = (n*31 + int64(b)) % 1_000_000_007
	}
	return n
}

func (f *Forge) workflowJobJSON(rp *repo, j *workflowJob) obj {
	return obj{
		"id": j.ID, "run_id": j.RunID, "run_attempt": j.Attempt, "node_id": nodeID("CR", j.ID), "name": j.Name, "status": j.Status, "conclusion": orNull(j.Conclusion),
		"started_at": j.Started, "completed_at": j.Completed, "url": f.api("/repos/%s/actions/jobs/%d", rp.fullName(), j.ID), "run_url": f.api("/repos/%s/actions/runs/%d", rp.fullName(), j.RunID),
		"html_url": f.web("/%s/actions/runs/%d/job/%d", rp.fullName(), j.RunID, j.ID), "steps": []obj{}, "labels": []string{},
	}
}

// oneOf builds a condition for a filter that may name several values, as
// "pull_request OR pull_request_target" does.
func oneOf(column, value string) (string, []any) {
	var parts []string
	var args []any
	for v := range strings.SplitSeq(value, " OR ") {
		if v = strings.TrimSpace(v); v != "" {
			parts = append(parts, column+" = ?")
			args = append(args, v)
		}
	}
	if len(parts) == 0 {
		return "1", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", args
}

func listActionRuns(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	where, args := "w.repo_id = ?", []any{rp.ID}
	add := func(cond string, more []any) { where, args = where+" AND "+cond, append(args, more...) }
	for param, col := range map[string]string{"branch": "w.branch", "head_sha": "w.sha"} {
		if v := c.query(param); v != "" {
			add(col+" = ?", []any{v})
		}
	}
	if v := c.query("event"); v != "" {
		add(oneOf("w.event", v))
	}
	if v := c.query("actor"); v != "" {
		add("w.actor_id = "+byLogin, []any{v})
	}
	if v := c.query("status"); v != "" { // a status or a conclusion
		add("(w.status = ? OR w.conclusion = ?)", []any{v, v})
	}
	all, err := list(c.reader, scanWorkflowRun, "SELECT "+workflowRunCols+" FROM workflow_runs w WHERE "+where+" ORDER BY w.id DESC", args...)
	if err != nil {
		return nil, err
	}
	return countedPage(c, "workflow_runs", all, func(w *workflowRun) (obj, error) { return c.workflowRunJSON(rp, w) })
}

func (c *call) actionRunOf(need permission) (*repo, *workflowRun, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, err
	}
	w, err := one(c.reader, scanWorkflowRun, "SELECT "+workflowRunCols+" FROM workflow_runs w WHERE w.id = ? AND w.repo_id = ?", id, rp.ID)
	return rp, w, err
}

func getActionRun(c *call) (any, error) {
	rp, w, err := c.actionRunOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.workflowRunJSON(rp, w)
}

func deleteActionRun(c *call) (any, error) {
	_, w, err := c.actionRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM workflow_runs WHERE id = ?", w.ID)
		return err
	})
}

func listActionJobs(c *call) (any, error) {
	rp, w, err := c.actionRunOf(permRead)
	if err != nil {
		return nil, err
	}
	where, args := "j.run_id = ?", []any{w.ID}
	if c.query("filter") != "all" {
		where += " AND j.id IN (SELECT max(id) FROM workflow_jobs WHERE run_id = ? GROUP BY name)"
		args = append(args, w.ID)
	}
	all, err := list(c.reader, scanWorkflowJob, "SELECT "+workflowJobCols+" FROM workflow_jobs j WHERE "+where+" ORDER BY j.id", args...)
	if err != nil {
		return nil, err
	}
	return countedPage(c, "jobs", all, func(j *workflowJob) (obj, error) { return c.f.workflowJobJSON(rp, j), nil })
}

func getActionJob(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	j, err := one(c.reader, scanWorkflowJob, "SELECT "+workflowJobCols+" FROM workflow_jobs j JOIN workflow_runs w ON w.id = j.run_id WHERE j.id = ? AND w.repo_id = ?", id, rp.ID)
	if err != nil {
		return nil, err
	}
	return c.f.workflowJobJSON(rp, j), nil
}

func rerunAll(c *call) (any, error)    { return c.rerun(false) }
func rerunFailed(c *call) (any, error) { return c.rerun(true) }

// rerun queues a finished run again: all of its jobs, or those that failed.
func (c *call) rerun(failed bool) (any, error) {
	rp, w, err := c.actionRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	if w.Status != "completed" {
		return nil, forbidden("This workflow is already running")
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		jobs, err := list(&t.reader, scanWorkflowJob, "SELECT "+workflowJobCols+" FROM workflow_jobs j WHERE j.id IN (SELECT max(id) FROM workflow_jobs WHERE run_id = ? GROUP BY name) ORDER BY j.id", w.ID)
		if err != nil {
			return err
		}
		again := 0
		for _, j := range jobs {
			if failed && (j.Conclusion == "success" || j.Conclusion == "skipped") {
				continue
			}
			again++
			if _, err := t.exec("INSERT INTO workflow_jobs (run_id, attempt, name, status, started) VALUES (?,?,?,'queued',?)", w.ID, w.Attempt+1, j.Name, t.now); err != nil {
				return err
			}
		}
		if failed && again == 0 && len(jobs) > 0 {
			return forbidden("The workflow run containing this job has no failed jobs")
		}
		w.Attempt, w.Status, w.Conclusion = w.Attempt+1, "queued", ""
		return t.saveWorkflowRun(rp, w, c.viewer, "requested")
	})
	if err != nil {
		return nil, err
	}
	return created(obj{})
}

// saveWorkflowRun stores the state of a run and tells of it.
func (t *txn) saveWorkflowRun(rp *repo, w *workflowRun, actor *account, action string) error {
	w.Updated = t.now
	if _, err := t.exec("UPDATE workflow_runs SET attempt = ?, status = ?, conclusion = ?, updated = ? WHERE id = ?", w.Attempt, w.Status, w.Conclusion, w.Updated, w.ID); err != nil {
		return err
	}
	return t.emitWorkflowRun(rp, w, actor, action)
}

func (t *txn) emitWorkflowRun(rp *repo, w *workflowRun, actor *account, action string) error {
	o, err := t.workflowRunJSON(rp, w)
	if err != nil {
		return err
	}
	return t.emit(rp, actor, "workflow_run", action, obj{"workflow_run": o, "workflow": obj{"id": workflowID(w.Path), "name": w.Name, "path": w.Path, "state": "active"}})
}

// approveRun lets a run that waits for a maintainer begin.
func approveRun(c *call) (any, error) {
	rp, w, err := c.actionRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	if w.Status != "action_required" && w.Conclusion != "action_required" {
		return nil, forbidden("This run is not from a fork pull request or queued from the Copilot coding agent")
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		w.Status, w.Conclusion = "queued", ""
		return t.saveWorkflowRun(rp, w, c.viewer, "requested")
	})
	if err != nil {
		return nil, err
	}
	return created(obj{})
}

func cancelRun(c *call) (any, error) {
	rp, w, err := c.actionRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	if w.Status == "completed" {
		return nil, &apiError{Status: http.StatusConflict, Message: "Cannot cancel a workflow run that is completed."}
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		w.Status, w.Conclusion = "completed", "cancelled"
		return t.saveWorkflowRun(rp, w, c.viewer, "completed")
	})
	return reply{status: http.StatusAccepted, body: obj{}}, err
}

func listWorkflows(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanWorkflowRun, "SELECT "+workflowRunCols+" FROM workflow_runs w WHERE w.id IN (SELECT max(id) FROM workflow_runs WHERE repo_id = ? GROUP BY path) ORDER BY w.path", rp.ID)
	if err != nil {
		return nil, err
	}
	return countedPage(c, "workflows", all, func(w *workflowRun) (obj, error) {
		return obj{"id": workflowID(w.Path), "name": w.Name, "path": w.Path, "state": "active", "created_at": w.Created, "updated_at": w.Updated}, nil
	})
}

// WorkflowRun is a run of a workflow to seed, or a change of one.
type WorkflowRun struct {
	Owner string `json:"owner"`
	Repo  string `json:"repo"`
	// ID changes the run with this number instead of creating one.
	ID     int64  `json:"id,omitempty"`
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"`
	Event  string `json:"event,omitempty"`
	Branch string `json:"branch,omitempty"`
	SHA    string `json:"head_sha,omitempty"`
	// Status is queued, in_progress, completed, action_required and so on; Conclusion belongs to completed.
	Status     string        `json:"status"`
	Conclusion string        `json:"conclusion,omitempty"`
	Actor      string        `json:"actor,omitempty"`
	Jobs       []WorkflowJob `json:"jobs,omitempty"`
}

// WorkflowJob is one job of it.
type WorkflowJob struct {
	Name       string `json:"name"`
	Status     string `json:"status,omitempty"`
	Conclusion string `json:"conclusion,omitempty"`
}

var errNoName = errors.New("the run has no name")

// seedWorkflowRun creates or changes a run and sends its event.
func (t *txn) seedWorkflowRun(in WorkflowRun) (int64, error) {
	rp, err := t.repo(in.Owner, in.Repo)
	if err != nil {
		return 0, err
	}
	if in.Status == "" {
		in.Status = "completed"
	}
	action := map[string]string{"completed": "completed", "in_progress": "in_progress"}[in.Status]
	if action == "" {
		action = "requested"
	}
	if in.ID != 0 {
		w, err := one(&t.reader, scanWorkflowRun, "SELECT "+workflowRunCols+" FROM workflow_runs w WHERE w.id = ? AND w.repo_id = ?", in.ID, rp.ID)
		if err != nil {
			return 0, err
		}
		actor, err := t.accountID(w.ActorID)
		if err != nil {
			return 0, err
		}
		w.Status, w.Conclusion = in.Status, in.Conclusion
		for _, j := range in.Jobs {
			if _, err := t.exec("UPDATE workflow_jobs SET status = ?, conclusion = ?, completed = ? WHERE id = (SELECT max(id) FROM workflow_jobs WHERE run_id = ? AND name = ?)", j.Status, j.Conclusion, t.now, w.ID, j.Name); err != nil {
				return 0, err
			}
		}
		return w.ID, t.saveWorkflowRun(rp, w, actor, action)
	}
	if in.Name == "" {
		return 0, errNoName
	}
	w := &workflowRun{RepoID: rp.ID, Name: in.Name, Path: in.Path, Attempt: 1, Event: in.Event, Branch: in.Branch, SHA: in.SHA, Status: in.Status, Conclusion: in.Conclusion, Created: t.now, Updated: t.now}
	if w.Path == "" {
		w.Path = ".github/workflows/" + slugify(w.Name) + ".yml"
	}
	if w.Event == "" {
		w.Event = "pull_request"
	}
	if w.Branch == "" {
		w.Branch = rp.DefaultBranch
	}
	if w.SHA == "" {
		if w.SHA, err = t.refSHA(rp.ID, "refs/heads/"+w.Branch); err != nil {
			return 0, err
		}
	}
	actor := &rp.Owner
	if in.Actor != "" {
		if actor, err = t.account(in.Actor); err != nil {
			return 0, err
		}
	}
	w.ActorID = actor.ID
	if w.Number, err = t.count("SELECT count(*) + 1 FROM workflow_runs WHERE repo_id = ? AND path = ?", rp.ID, w.Path); err != nil {
		return 0, err
	}
	if w.ID, err = t.exec("INSERT INTO workflow_runs (repo_id, name, path, number, event, branch, sha, status, conclusion, actor_id, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
		w.RepoID, w.Name, w.Path, w.Number, w.Event, w.Branch, w.SHA, w.Status, w.Conclusion, w.ActorID, w.Created, w.Updated); err != nil {
		return 0, err
	}
	for _, j := range in.Jobs {
		if j.Status == "" {
			j.Status, j.Conclusion = in.Status, in.Conclusion
		}
		if _, err := t.exec("INSERT INTO workflow_jobs (run_id, name, status, conclusion, started) VALUES (?,?,?,?,?)", w.ID, j.Name, j.Status, j.Conclusion, t.now); err != nil {
			return 0, err
		}
	}
	return w.ID, t.emitWorkflowRun(rp, w, actor, action)
}
