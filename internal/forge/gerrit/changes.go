package gerrit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Statuses of a change.
const (
	StatusNew       = "NEW"
	StatusMerged    = "MERGED"
	StatusAbandoned = "ABANDONED"
)

// Submit types: how Gerrit brings a change into its branch.
const (
	SubmitMergeIfNecessary  = "MERGE_IF_NECESSARY"
	SubmitFastForwardOnly   = "FAST_FORWARD_ONLY"
	SubmitMergeAlways       = "MERGE_ALWAYS"
	SubmitRebaseIfNecessary = "REBASE_IF_NECESSARY"
	SubmitRebaseAlways      = "REBASE_ALWAYS"
	SubmitCherryPick        = "CHERRY_PICK"
)

// Change is a change, as far as it was asked for.
type Change struct {
	// ID is project~branch~Change-Id, each of them escaped.
	ID      string `json:"id"`
	Number  int    `json:"_number"`
	Project string `json:"project"`
	Branch  string `json:"branch"`
	Subject string `json:"subject"`
	Topic   string `json:"topic"`
	Status  string `json:"status"`
	Updated Time   `json:"updated"`
	// SubmitType is absent from merged changes.
	SubmitType string `json:"submit_type"`
	// Mergeable is only there where the instance computes it.
	Mergeable *bool `json:"mergeable"`
	// ContainsGitConflicts tells that files hold marks of conflicts.
	ContainsGitConflicts bool `json:"contains_git_conflicts"`
	// Owner has a username only with the option DETAILED_ACCOUNTS.
	Owner Account `json:"owner"`
	// Labels are only with the option LABELS.
	Labels map[string]Label `json:"labels"`
	// CurrentRevision is the commit of the last patch set; only with an option for
	// revisions.
	CurrentRevision string `json:"current_revision"`
	// Revisions are by commit; all of them only with the option ALL_REVISIONS.
	Revisions map[string]Revision `json:"revisions"`
	// Messages are only with the option MESSAGES.
	Messages []Message `json:"messages"`
	// MoreChanges tells, on the last one of a page, that there are more.
	MoreChanges bool `json:"_more_changes"`

	// Raw is the change as Gerrit sent it.
	Raw json.RawMessage `json:"-"`
}

// Account is somebody.
type Account struct {
	Name     string `json:"name"`
	Email    string `json:"email"`
	Username string `json:"username"`
}

// Label is a label of a change.
type Label struct {
	// Optional tells that the change can be submitted without.
	Optional bool `json:"optional"`
}

// Revision is a patch set.
type Revision struct {
	Number int    `json:"_number"`
	Ref    string `json:"ref"`
	// Commit is only with the option CURRENT_COMMIT.
	Commit struct {
		Author Account `json:"author"`
	} `json:"commit"`
	// Files are only with the option CURRENT_FILES.
	Files map[string]File `json:"files"`
}

// File is how a file is changed.
type File struct {
	// Status is empty for a modification; renames have "R".
	Status  string `json:"status"`
	OldPath string `json:"old_path"`
}

// Message is a comment on a change.
type Message struct {
	Message        string `json:"message"`
	RevisionNumber int    `json:"_revision_number"`
}

// Current is the last patch set.
func (c *Change) Current() Revision { return c.Revisions[c.CurrentRevision] }

// ChangedFiles lists the files that the last patch set changes, sorted, renamed
// ones by both names; ok is false where they were not asked for.
func (c *Change) ChangedFiles() (files []string, ok bool) {
	current := c.Current()
	if current.Files == nil {
		return nil, false
	}
	for name, file := range current.Files {
		if strings.HasPrefix(name, "/") {
			continue // such as the message of the commit
		}
		files = append(files, name)
		if file.Status == "R" && file.OldPath != "" {
			files = append(files, file.OldPath)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), true
}

// mergedAt tells whether a merged change was merged as it was at a revision, of
// which Gerrit makes another patch set where it rebases.
func (c *Change) mergedAt(revision string) bool {
	was := c.Revisions[revision].Number
	return was > 0 && c.Current().Number-was <= 1
}

// plainID is an id without escapes, which the address of a request gets anew.
func plainID(id string) string {
	if plain, err := url.QueryUnescape(id); err == nil {
		return plain
	}
	return id
}

// GetChange reads a change with additional fields.
func (c *Client) GetChange(ctx context.Context, instance, id string, fields ...string) (*Change, error) {
	var raw json.RawMessage
	err := c.do(ctx, http.MethodGet, instance, []string{"changes", plainID(id)}, url.Values{"o": fields}, nil, &raw)
	if err == nil {
		var change *Change
		if change, err = decodeChange(raw); err == nil {
			return change, nil
		}
	}
	return nil, fmt.Errorf("read change %s of %s: %w", id, instance, err)
}

func decodeChange(raw json.RawMessage) (*Change, error) {
	change := &Change{Raw: raw}
	if err := json.Unmarshal(raw, change); err != nil {
		return nil, fmt.Errorf("decode a change: %w", err)
	}
	return change, nil
}

// maxPages bounds the pages of one query.
const maxPages = 1000

// QueryChanges finds all changes that fulfil a query, pageSize of them with one
// request. Pages shift while changes are updated: a change that is seen twice is
// returned once, as it was seen last.
func (c *Client) QueryChanges(ctx context.Context, instance, query string, pageSize int, fields ...string) ([]*Change, error) {
	if pageSize < 1 {
		return nil, fmt.Errorf("query changes of %s: pages of %d changes", instance, pageSize)
	}
	fail := func(err error) ([]*Change, error) {
		return nil, fmt.Errorf("query changes of %s by %q: %w", instance, query, err)
	}
	var out []*Change
	for start, pages := 0, 0; ; pages++ {
		if pages == maxPages {
			return fail(fmt.Errorf("more than %d pages", maxPages))
		}
		var page []json.RawMessage
		values := url.Values{"q": {query}, "n": {strconv.Itoa(pageSize)}, "o": fields}
		if start > 0 {
			values.Set("start", strconv.Itoa(start))
		}
		if err := c.do(ctx, http.MethodGet, instance, []string{"changes", ""}, values, nil, &page); err != nil {
			return fail(err)
		}
		more := false
		for _, raw := range page {
			change, err := decodeChange(raw)
			if err != nil {
				return fail(err)
			}
			out = slices.DeleteFunc(out, func(have *Change) bool { return have.Number == change.Number })
			out = append(out, change)
			more = change.MoreChanges
		}
		if start += len(page); !more || len(page) == 0 {
			return out, nil
		}
	}
}

// SubmittedTogether finds the changes that Gerrit would submit with a change,
// because it is made on them or has their topic, and it counts those that this
// account may not see. The change itself is not among them.
func (c *Client) SubmittedTogether(ctx context.Context, instance, id string) (others []*Change, hidden int, err error) {
	var answer struct {
		Changes []*Change `json:"changes"`
		Hidden  int       `json:"non_visible_changes"`
	}
	query := url.Values{"o": {"NON_VISIBLE_CHANGES"}}
	if err := c.do(ctx, http.MethodGet, instance, []string{"changes", plainID(id), "submitted_together"}, query, nil, &answer); err != nil {
		return nil, 0, fmt.Errorf("find what is submitted with change %s of %s: %w", id, instance, err)
	}
	return slices.DeleteFunc(answer.Changes, func(other *Change) bool { return other.ID == id }), answer.Hidden, nil
}

// BranchRevision is the commit that a branch points at.
func (c *Client) BranchRevision(ctx context.Context, instance, project, branch string) (string, error) {
	var info struct {
		Revision string `json:"revision"`
	}
	err := c.do(ctx, http.MethodGet, instance, []string{"projects", project, "branches", branch}, nil, nil, &info)
	if err == nil && info.Revision == "" {
		err = errors.New("the answer names no commit")
	}
	if err != nil {
		return "", fmt.Errorf("read branch %s of %s/%s: %w", branch, instance, project, err)
	}
	return info.Revision, nil
}

// Submit submits a change at a revision, which must be the last, and returns once
// it is merged. A change that was merged at that revision already is no error.
func (c *Client) Submit(ctx context.Context, instance, id, revision string) error {
	var after Change
	err := c.do(ctx, http.MethodPost, instance, []string{"changes", plainID(id), "revisions", revision, "submit"}, nil, map[string]any{"wait_for_merge": true}, &after)
	var refusal *StatusError
	switch {
	case err == nil && after.Status == StatusMerged:
		return nil
	case err == nil:
		err = fmt.Errorf("its status is %s", after.Status)
	case errors.As(err, &refusal) && refusal.Code == http.StatusConflict:
		// It may have been merged by a request whose answer was lost, or together with a
		// change that depends on it.
		now, readErr := c.GetChange(ctx, instance, id, "ALL_REVISIONS")
		if readErr == nil && now.Status == StatusMerged && now.mergedAt(revision) {
			return nil
		}
	}
	return fmt.Errorf("submit change %s of %s at %s: %w", id, instance, revision, err)
}
