package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// emit stores one delivery per hook that subscribes to the event, inside the
// transaction that caused it. It completes the payload with repository,
// organization and sender.
func (t *txn) emit(rp *repo, actor *account, event, action string, payload obj) error {
	hooks, err := list(&t.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.active AND (h.repo_id = ? OR (h.org_id != 0 AND h.org_id = ?)) ORDER BY h.id", rp.ID, rp.Owner.ID)
	if err != nil {
		return err
	}
	hooks = slices.DeleteFunc(hooks, func(h hook) bool { return !h.wants(event) })
	if len(hooks) == 0 {
		return nil
	}
	if action != "" {
		payload["action"] = action
	}
	if _, set := payload["repository"]; !set {
		payload["repository"] = t.f.repoJSON(rp)
	}
	if rp.Owner.Kind == kindOrg {
		payload["organization"] = t.f.orgJSON(&rp.Owner)
	}
	payload["sender"] = t.f.userJSON(actor)
	for i := range hooks {
		if err := t.deliver(&hooks[i], rp.ID, event, action, payload, false); err != nil {
			return err
		}
	}
	return nil
}

// wants says whether a hook subscribes to an event.
func (h *hook) wants(event string) bool {
	var events []string
	if json.Unmarshal([]byte(h.Events), &events) != nil {
		return false
	}
	return slices.Contains(events, "*") || slices.Contains(events, event)
}

// deliver stores one delivery.
func (t *txn) deliver(h *hook, repoID int64, event, action string, payload obj, redelivery bool) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("rendering %s webhook: %w", event, err)
	}
	return t.deliverRaw(h.ID, repoID, uuid.NewString(), event, action, body, redelivery)
}

func (t *txn) deliverRaw(hookID, repoID int64, guid, event, action string, body []byte, redelivery bool) error {
	_, err := t.exec("INSERT INTO deliveries (hook_id, repo_id, guid, event, action, payload, redelivery, next, created) VALUES (?,?,?,?,?,?,?,?,?)",
		hookID, repoID, guid, event, action, body, redelivery, t.now, t.now)
	t.emitted = true
	return err
}

// emitIssue sends an "issues" or "pull_request" event; extra holds the fields
// that depend on the action (label, assignee, changes, before, after...).
func (t *txn) emitIssue(rp *repo, i *issue, actor *account, action string, extra obj) error {
	payload := obj{}
	for k, v := range extra {
		payload[k] = v
	}
	event := "issues"
	if i.Pull != nil {
		event = "pull_request"
		o, err := t.pullJSON(rp, i, nil)
		if err != nil {
			return err
		}
		payload["number"], payload["pull_request"] = i.Number, o
	} else {
		o, err := t.issueJSON(rp, i)
		if err != nil {
			return err
		}
		payload["issue"] = o
	}
	return t.emit(rp, actor, event, action, payload)
}

func (t *txn) emitComment(rp *repo, i *issue, c *comment, actor *account, action string, extra obj) error {
	io, err := t.issueJSON(rp, i)
	if err != nil {
		return err
	}
	co, err := t.commentJSON(rp, i, c)
	if err != nil {
		return err
	}
	payload := obj{"issue": io, "comment": co}
	for k, v := range extra {
		payload[k] = v
	}
	return t.emit(rp, actor, "issue_comment", action, payload)
}

func (t *txn) emitReview(rp *repo, i *issue, v *review, actor *account, action string, extra obj) error {
	po, err := t.pullJSON(rp, i, nil)
	if err != nil {
		return err
	}
	ro, err := t.reviewJSON(rp, i, v)
	if err != nil {
		return err
	}
	ro["state"] = lower(v.State) // webhooks write review states in lower case
	payload := obj{"pull_request": po, "review": ro}
	for k, val := range extra {
		payload[k] = val
	}
	return t.emit(rp, actor, "pull_request_review", action, payload)
}

func (t *txn) emitReviewComment(rp *repo, i *issue, c *reviewComment, actor *account, action string) error {
	po, err := t.pullJSON(rp, i, nil)
	if err != nil {
		return err
	}
	co, err := t.reviewCommentJSON(rp, i, c)
	if err != nil {
		return err
	}
	return t.emit(rp, actor, "pull_request_review_comment", action, obj{"pull_request": po, "comment": co})
}

// ping tells a new hook that it exists.
func (t *txn) ping(h *hook, actor *account) error {
	o, err := t.hookJSON(h)
	if err != nil {
		return err
	}
	payload := obj{"zen": "Keep it logically awesome.", "hook_id": h.ID, "hook": o, "sender": t.f.userJSON(actor)}
	if h.OrgID != 0 {
		org, err := t.accountID(h.OrgID)
		if err != nil {
			return err
		}
		payload["organization"] = t.f.orgJSON(org)
	}
	if h.RepoID != 0 {
		rp, err := t.repoID(h.RepoID)
		if err != nil && !errors.Is(err, errNotFound) {
			return err
		}
		if rp != nil {
			payload["repository"] = t.f.repoJSON(rp)
		}
	}
	return t.deliver(h, h.RepoID, "ping", "", payload, false)
}
