package local

import (
	"errors"
	"slices"
	"strings"
)

// defaultColor is what GitHub gives to labels nobody chose a colour for.
const defaultColor = "ededed"

// ensureLabel returns a label of the repository, creating it as GitHub does
// when a label that does not exist is added to an issue.
func (t *txn) ensureLabel(rp *repo, name string) (*label, error) {
	l, err := t.label(rp.ID, name)
	if !errors.Is(err, errNotFound) {
		return l, err
	}
	return t.createLabel(rp, label{Name: name, Color: defaultColor})
}

func (t *txn) createLabel(rp *repo, l label) (*label, error) {
	if err := checkLabel(&l); err != nil {
		return nil, err
	}
	id, err := t.exec("INSERT INTO labels (repo_id, name, color, description) VALUES (?,?,?,?)", rp.ID, l.Name, l.Color, l.Description)
	l.ID, l.RepoID = id, rp.ID
	return &l, err
}

func checkLabel(l *label) error {
	if err := checkText("Label", "name", l.Name, 50, true); err != nil {
		return err
	}
	if strings.ContainsAny(l.Name, "\n\r,") {
		return invalid("Label", "name", "invalid", "")
	}
	if err := checkText("Label", "description", l.Description, 100, false); err != nil {
		return err
	}
	l.Color = lower(strings.TrimPrefix(l.Color, "#"))
	if len(l.Color) != 6 || strings.Trim(l.Color, "0123456789abcdef") != "" {
		return invalid("Label", "color", "invalid", "")
	}
	return nil
}

// addLabels adds those labels that are not there yet.
func (t *txn) addLabels(rp *repo, i *issue, actor *account, names []string) error {
	for _, name := range names {
		l, err := t.ensureLabel(rp, name)
		if err != nil {
			return err
		}
		n, err := t.changed("INSERT OR IGNORE INTO issue_labels (issue_id, label_id) VALUES (?,?)", i.ID, l.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := t.labelEvent(rp, i, actor, l, "labeled"); err != nil {
			return err
		}
	}
	return nil
}

// removeLabel reports whether the label was there.
func (t *txn) removeLabel(rp *repo, i *issue, actor *account, name string) (bool, error) {
	l, err := t.label(rp.ID, name)
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := t.changed("DELETE FROM issue_labels WHERE issue_id = ? AND label_id = ?", i.ID, l.ID)
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.labelEvent(rp, i, actor, l, "unlabeled")
}

func (t *txn) labelEvent(rp *repo, i *issue, actor *account, l *label, action string) error {
	if err := t.record(i, actor, event{Event: action, Label: l.Name, Color: l.Color}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, action, obj{"label": t.f.labelJSON(rp, l)})
}

// setLabels makes names the exact set of labels.
func (t *txn) setLabels(rp *repo, i *issue, actor *account, names []string) error {
	have, err := t.issueLabels(i.ID)
	if err != nil {
		return err
	}
	for _, l := range have {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, l.Name) }) {
			if _, err := t.removeLabel(rp, i, actor, l.Name); err != nil {
				return err
			}
		}
	}
	return t.addLabels(rp, i, actor, names)
}
