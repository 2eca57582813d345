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
	if _, set := payload["repository"]; !set {
		payload["repository"] = t.f.repoJSON(rp)
	}
	return t.emitTo(rp.ID, &rp.Owner, actor, event, action, payload)
}

// emitOrg is emit for events of an organisation.
func (t *txn) emitOrg(org, actor *account, event, action string, payload obj) error {
	return t.emitTo(0, org, actor, event, action, payload)
}

func (t *txn) emitTo(repoID int64, owner, actor *account, event, action string, payload obj) error {
	hooks, err := list(&t.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.active AND (h.repo_id != 0 AND h.repo_id = ? OR (h.org_id != 0 AND h.org_id = ?)) ORDER BY h.id", repoID, owner.ID)
	if err != nil {
		return err
	}
	hooks = slices.DeleteFunc(hooks, func(h hook) bool { return !h.wants(event) })
	apps, err := t.appHooks(repoID, owner, event)
	if err != nil {
		return err
	}
	if len(hooks)+len(apps) == 0 {
		return nil
	}
	if action != "" {
		payload["action"] = action
	}
	if owner.Kind == kindOrg {
		payload["organization"] = t.f.orgJSON(owner)
	}
	payload["sender"] = t.f.userJSON(actor)
	for i := range hooks {
		if err := t.deliver(&hooks[i], repoID, 0, event, action, payload); err != nil {
			return err
		}
	}
	for i := range apps {
		payload["installation"] = obj{"id": apps[i].installation, "node_id": nodeID("MDI", apps[i].installation)}
		if err := t.deliver(&apps[i].hook, repoID, apps[i].installation, event, action, payload); err != nil {
			return err
		}
	}
	return nil
}

// appHook is the webhook of an App with the installation an event belongs to.
type appHook struct {
	hook
	installation int64
}

// appHooks finds the Apps that hear of an event: installed where it happened
// and subscribed to it.
func (t *txn) appHooks(repoID int64, owner *account, event string) ([]appHook, error) {
	all, err := list(&t.reader, func(s scanner, v *appHook) error {
		h := &v.hook
		return s.Scan(&h.ID, &h.OrgID, &h.RepoID, &h.URL, &h.Secret, &h.Events, &h.Active, &h.Created, &h.Updated, &h.ContentType, &h.AppID, &v.installation)
	}, "SELECT "+hookCols+`, s.id FROM hooks h JOIN installations s ON s.app_id = h.app_id
		WHERE h.active AND h.app_id != 0 AND s.account_id = ? AND s.suspended = 0
		AND (NOT s.selected OR ? = 0 OR EXISTS (SELECT 1 FROM installation_repos x WHERE x.installation_id = s.id AND x.repo_id = ?)) ORDER BY h.id`, owner.ID, repoID, repoID)
	return slices.DeleteFunc(all, func(v appHook) bool { return !v.wants(event) }), err
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
func (t *txn) deliver(h *hook, repoID, installation int64, event, action string, payload obj) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("rendering %s webhook: %w", event, err)
	}
	return t.store(&delivery{HookID: h.ID, RepoID: repoID, Installation: installation, GUID: uuid.NewString(), Event: event, Action: action, Payload: body})
}

// store adds a delivery to the queue.
func (t *txn) store(d *delivery) error {
	_, err := t.exec("INSERT INTO deliveries (hook_id, repo_id, installation_id, guid, event, action, payload, redelivery, next, created) VALUES (?,?,?,?,?,?,?,?,?,?)",
		d.HookID, d.RepoID, d.Installation, d.GUID, d.Event, d.Action, d.Payload, d.Redelivery, t.now, t.now)
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

func (t *txn) emitReviewComment(rp *repo, i *issue, c *reviewComment, actor *account, action string, extra obj) error {
	po, err := t.pullJSON(rp, i, nil)
	if err != nil {
		return err
	}
	co, err := t.reviewCommentJSON(rp, i, c)
	if err != nil {
		return err
	}
	payload := obj{"pull_request": po, "comment": co}
	for k, v := range extra {
		payload[k] = v
	}
	return t.emit(rp, actor, "pull_request_review_comment", action, payload)
}

// zen is the saying in ping events.
const zen = "Keep it logically awesome."

// ping tells a new hook that it exists.
func (t *txn) ping(h *hook, actor *account) error {
	o, err := t.hookJSON(h)
	if err != nil {
		return err
	}
	payload := obj{"zen": zen, "hook_id": h.ID, "hook": o, "sender": t.f.userJSON(actor)}
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
	return t.deliver(h, h.RepoID, 0, "ping", "", payload)
}
