package local

import (
	"slices"
	"time"
)

func listMilestones(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	state := c.query("state")
	if state == "" {
		state = "open"
	}
	all, err := list(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? AND (m.state = ? OR ? = 'all') ORDER BY m.number", rp.ID, state, state)
	if err != nil {
		return nil, err
	}
	if c.query("direction") == "desc" {
		slices.Reverse(all)
	}
	return each(paginate(c, all), func(m *milestone) (obj, error) { return c.milestoneObj(rp, m) })
}

// milestoneEdit is the body of milestone creation and change.
type milestoneEdit struct {
	Title       *string    `json:"title"`
	Description *string    `json:"description"`
	State       *string    `json:"state"`
	Due         *time.Time `json:"due_on"`
}

func createMilestone(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in milestoneEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		m := milestone{RepoID: rp.ID, State: "open", CreatorID: c.viewer.ID, Created: t.now}
		if err := in.apply(&m, t.now); err != nil {
			return err
		}
		n, err := t.count("SELECT count(*) FROM milestones WHERE repo_id = ? AND title = ?", rp.ID, m.Title)
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid("Milestone", "title", "already_exists", "")
		}
		if m.Number, err = t.count("SELECT coalesce(max(number),0) + 1 FROM milestones WHERE repo_id = ?", rp.ID); err != nil {
			return err
		}
		if m.ID, err = t.exec("INSERT INTO milestones (repo_id, number, title, description, state, creator_id, created, updated, due, closed) VALUES (?,?,?,?,?,?,?,?,?,?)",
			m.RepoID, m.Number, m.Title, m.Description, m.State, m.CreatorID, m.Created, m.Updated, m.Due, m.Closed); err != nil {
			return err
		}
		o, err = t.milestoneObj(rp, &m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) milestoneOf(need permission) (*repo, *milestone, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	n, err := c.number("number")
	if err != nil {
		return nil, nil, err
	}
	m, err := one(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? AND m.number = ?", rp.ID, n)
	return rp, m, err
}

func listMilestoneLabels(c *call) (any, error) {
	rp, m, err := c.milestoneOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanLabel, "SELECT DISTINCT "+labelCols+" FROM labels l JOIN issue_labels x ON x.label_id = l.id JOIN issues i ON i.id = x.issue_id WHERE i.milestone_id = ? ORDER BY l.name", m.ID)
	if err != nil {
		return nil, err
	}
	return c.f.labelsJSON(rp, paginate(c, all)), nil
}

func getMilestone(c *call) (any, error) {
	rp, m, err := c.milestoneOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.milestoneObj(rp, m)
}

func editMilestone(c *call) (any, error) {
	rp, m, err := c.milestoneOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in milestoneEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := in.apply(m, t.now); err != nil {
			return err
		}
		_, err := t.exec("UPDATE milestones SET title = ?, description = ?, state = ?, updated = ?, due = ?, closed = ? WHERE id = ?", m.Title, m.Description, m.State, m.Updated, m.Due, m.Closed, m.ID)
		if err != nil {
			return err
		}
		o, err = t.milestoneObj(rp, m)
		return err
	})
	return o, err
}

func deleteMilestone(c *call) (any, error) {
	_, m, err := c.milestoneOf(permWrite)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("UPDATE issues SET milestone_id = 0 WHERE milestone_id = ?", m.ID); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM milestones WHERE id = ?", m.ID)
		return err
	})
}

func (e milestoneEdit) apply(m *milestone, now when) error {
	if e.Title != nil {
		m.Title = *e.Title
	}
	if e.Description != nil {
		m.Description = *e.Description
	}
	if e.Due != nil {
		m.Due = when{*e.Due}
	}
	if e.State != nil && *e.State != m.State {
		if *e.State != "open" && *e.State != "closed" {
			return invalid("Milestone", "state", "invalid", "")
		}
		if m.State, m.Closed = *e.State, (when{}); m.State == "closed" {
			m.Closed = now
		}
	}
	m.Updated = now
	return checkText("Milestone", "title", m.Title, 255, true)
}
