package local

import (
	"encoding/json"
	"net/http"
)

// labelNames accepts labels as strings or as objects with a name.
type labelNames []string

func listIssueLabels(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.issueLabels(i.ID)
	if err != nil {
		return nil, err
	}
	return c.f.labelsJSON(rp, paginate(c, all)), nil
}

// labelBody accepts a bare array of names or {"labels": [...]}.
func (c *call) labelBody() ([]string, error) {
	var raw json.RawMessage
	if err := c.body(&raw); err != nil {
		return nil, err
	}
	var names labelNames
	if json.Unmarshal(raw, &names) == nil {
		return names, nil
	}
	var in struct{ Labels labelNames }
	if len(raw) > 0 && json.Unmarshal(raw, &in) != nil {
		return nil, badRequest("Problems parsing JSON")
	}
	return in.Labels, nil
}

func (c *call) changeLabels(change func(*txn, *repo, *issue) error) (any, error) {
	rp, i, err := c.issueOf(permTriage)
	if err != nil {
		return nil, err
	}
	var out []obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := change(t, rp, i); err != nil {
			return err
		}
		all, err := t.issueLabels(i.ID)
		out = c.f.labelsJSON(rp, all)
		return err
	})
	return out, err
}

func addIssueLabels(c *call) (any, error) {
	names, err := c.labelBody()
	if err != nil {
		return nil, err
	}
	return c.changeLabels(func(t *txn, rp *repo, i *issue) error { return t.addLabels(rp, i, c.viewer, names) })
}

func replaceIssueLabels(c *call) (any, error) {
	var names []string
	if c.http.Method == http.MethodPut {
		var err error
		if names, err = c.labelBody(); err != nil {
			return nil, err
		}
	}
	out, err := c.changeLabels(func(t *txn, rp *repo, i *issue) error { return t.setLabels(rp, i, c.viewer, names) })
	if err == nil && c.http.Method == http.MethodDelete {
		return noContent, nil
	}
	return out, err
}

func removeIssueLabel(c *call) (any, error) {
	return c.changeLabels(func(t *txn, rp *repo, i *issue) error {
		ok, err := t.removeLabel(rp, i, c.viewer, c.params["name"])
		if err == nil && !ok {
			err = &apiError{Status: http.StatusNotFound, Message: "Label does not exist"}
		}
		return err
	})
}

func listLabels(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? ORDER BY l.name", rp.ID)
	if err != nil {
		return nil, err
	}
	return c.f.labelsJSON(rp, paginate(c, all)), nil
}

// labelEdit is the body of label creation and change.
type labelEdit struct {
	Name        *string `json:"name"`
	NewName     *string `json:"new_name"`
	Color       *string `json:"color"`
	Description *string `json:"description"`
}

func createLabel(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in labelEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	l := label{Color: defaultColor}
	in.apply(&l)
	if in.Name != nil {
		l.Name = *in.Name
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.label(rp.ID, l.Name); err == nil {
			return invalid("Label", "name", "already_exists", "")
		}
		made, err := t.createLabel(rp, l)
		if err == nil {
			o = c.f.labelJSON(rp, made)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) labelOf(need permission) (*repo, *label, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	l, err := c.label(rp.ID, c.params["name"])
	return rp, l, err
}

func getLabel(c *call) (any, error) {
	rp, l, err := c.labelOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.f.labelJSON(rp, l), nil
}

func editLabel(c *call) (any, error) {
	rp, l, err := c.labelOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in labelEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	in.apply(l)
	if in.NewName == nil {
		in.NewName = in.Name
	}
	return c.f.labelJSON(rp, l), c.f.write(c.ctx, func(t *txn) error {
		if in.NewName != nil {
			if other, err := t.label(rp.ID, *in.NewName); err == nil && other.ID != l.ID {
				return invalid("Label", "name", "already_exists", "")
			}
			l.Name = *in.NewName
		}
		if err := checkLabel(l); err != nil {
			return err
		}
		_, err := t.exec("UPDATE labels SET name = ?, color = ?, description = ? WHERE id = ?", l.Name, l.Color, l.Description, l.ID)
		return err
	})
}

func deleteLabel(c *call) (any, error) {
	_, l, err := c.labelOf(permWrite)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM labels WHERE id = ?", l.ID)
		return err
	})
}

func (l *labelNames) UnmarshalJSON(raw []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	*l = labelNames{}
	for _, it := range items {
		var s string
		if json.Unmarshal(it, &s) != nil {
			var o struct{ Name string }
			if err := json.Unmarshal(it, &o); err != nil {
				return err
			}
			s = o.Name
		}
		*l = append(*l, s)
	}
	return nil
}

func (e labelEdit) apply(l *label) {
	for _, s := range []struct {
		from *string
		to   *string
	}{{e.Color, &l.Color}, {e.Description, &l.Description}} {
		if s.from != nil {
			*s.to = *s.from
		}
	}
}
