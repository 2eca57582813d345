package local

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (v *visit) numbered(rp *repo, number string) (*issue, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, errNotFound
	}
	return v.reader.issue(rp.ID, n)
}

func (v *visit) pullText(rp *repo, number string, patch bool) error {
	i, err := v.numbered(rp, number)
	if err != nil {
		return err
	}
	if i.Pull == nil {
		return errNotFound
	}
	_, text, err := pullText(v.ctx, v.f.bare(rp.ID), i, patch)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = v.w.Write(text) // the client is gone
	return nil
}

// entry is one element of a conversation.
type entry struct {
	ID, Who, What, When, Commit string
	Label                       *label
	Comment                     template.HTML
	at                          time.Time
}

// pullView is the part of the page that only pull requests have.
type pullView struct {
	Base, Head                           string
	Commits, Files, Additions, Deletions int
	Tone, Headline                       string
	Reasons                              []string
	Checks                               []checkRow
	Diff                                 []fileDiff
}

type issueView struct {
	frame
	Repo                     repoName
	Issue                    *issue
	Number                   int
	Badge, Author, When, URL string
	Labels                   []label
	Assignees, Reviewers     []string
	Milestone, OtherState    string
	CanClose, CanMerge       bool
	Timeline                 []entry
	Pull                     *pullView
}

func logins(all []account) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.Login)
	}
	return out
}

func (v *visit) issuePage(rp *repo, number string) error {
	i, err := v.numbered(rp, number)
	if err != nil {
		return err
	}
	if i.Pull != nil && strings.Contains(v.http.URL.Path, "/issues/") && v.http.Method == http.MethodGet {
		http.Redirect(v.w, v.http, fmt.Sprintf("/%s/pull/%d", rp.fullName(), i.Number), http.StatusFound)
		return nil
	}
	fr, err := v.frame(fmt.Sprintf("%s #%d · %s", i.Title, i.Number, rp.fullName()))
	if err != nil {
		return err
	}
	author, err := v.accountID(i.AuthorID)
	if err != nil {
		return err
	}
	d := issueView{frame: fr, Repo: nameOf(rp), Issue: i, Number: i.Number, Badge: badge(i), Author: author.Login, When: v.ago(i.Created), URL: fmt.Sprintf("/%s/%s/%d", rp.fullName(), i.webKind(), i.Number)}
	if d.Labels, err = v.issueLabels(i.ID); err != nil {
		return err
	}
	assignees, err := v.assignees(i.ID)
	if err != nil {
		return err
	}
	d.Assignees = logins(assignees)
	reviewers, err := v.reviewers(i.ID)
	if err != nil {
		return err
	}
	d.Reviewers = logins(reviewers)
	if ms, err := v.milestoneJSON(rp, i.MilestoneID); err != nil {
		return err
	} else if o, ok := ms.(obj); ok {
		d.Milestone = fmt.Sprint(o["title"])
	}
	perm, err := v.permission(rp, v.viewer)
	if err != nil {
		return err
	}
	merged := i.Pull != nil && !i.Pull.Merged.IsZero()
	d.CanClose = v.viewer != nil && !merged && (perm >= permTriage || v.viewer.ID == i.AuthorID)
	d.CanMerge = v.viewer != nil && i.Pull != nil && i.State == "open" && perm >= permWrite
	d.OtherState = "closed"
	if i.State == "closed" {
		d.OtherState = "open"
	}
	if d.Timeline, err = v.timeline(rp, i, author); err != nil {
		return err
	}
	if i.Pull != nil {
		if d.Pull, err = v.pullView(rp, i); err != nil {
			return err
		}
	}
	return v.show("issue", d)
}

// pullView says where a pull request stands and what it changes.
func (v *visit) pullView(rp *repo, i *issue) (*pullView, error) {
	p := i.Pull
	d := &pullView{Base: p.BaseRef, Head: p.HeadRef, Commits: p.Commits, Files: p.Files, Additions: p.Additions, Deletions: p.Deletions}
	if p.HeadRepoID != rp.ID {
		head, err := v.headRepo(rp, p)
		if err != nil {
			return nil, err
		}
		if head != nil {
			d.Head = head.Owner.Login + ":" + p.HeadRef
		}
	}
	var err error
	if d.Checks, err = v.checks(rp, p.HeadSHA); err != nil {
		return nil, err
	}
	files, err := v.f.pullFiles(v.ctx, rp, i, true)
	if err != nil {
		return nil, err
	}
	d.Diff = diffsOf(files)
	judged, err := v.f.judge(v.ctx, rp, i)
	if err != nil {
		return nil, err
	}
	by, err := v.accountID(p.MergedBy)
	if err != nil {
		return nil, err
	}
	d.stand(i, judged, by.Login)
	return d, nil
}

// stand words the state of a pull request: first what merge automation says,
// then what the forge itself sees.
func (d *pullView) stand(i *issue, v *verdict, mergedBy string) {
	switch {
	case !i.Pull.Merged.IsZero():
		d.Tone, d.Headline = "done", "Merged by "+mergedBy
		d.Reasons = []string{fmt.Sprintf("Commit %.10s is on %s.", i.Pull.MergeSHA, i.Pull.BaseRef)}
		return
	case i.State == "closed":
		d.Tone, d.Headline = "bad", "Closed without merging"
		return
	}
	d.Headline = "Merge automation has not reported yet"
	var failing, pending []string
	for _, c := range d.Checks {
		switch {
		case c.Context == mergeContext:
			d.Headline = c.Description
			if d.Headline == "" {
				d.Headline = c.State
			}
			d.Headline = "Tide: " + d.Headline
			switch c.State {
			case "success":
				d.Tone = "ready"
			case "error", "failure":
				d.Tone = "bad"
			}
		case c.State == "pending":
			pending = append(pending, c.Context)
		case c.State != "success":
			failing = append(failing, c.Context)
		}
	}
	if !v.Mergeable {
		d.Tone = "bad"
		d.Reasons = append(d.Reasons, "This branch has conflicts with "+i.Pull.BaseRef+" that must be resolved.")
	} else {
		d.Reasons = append(d.Reasons, "No conflicts with "+i.Pull.BaseRef+".")
	}
	if i.Pull.Draft {
		d.Reasons = append(d.Reasons, "This is a draft.")
	}
	if len(failing) > 0 {
		d.Reasons = append(d.Reasons, "Failing: "+strings.Join(failing, ", ")+".")
	}
	if len(pending) > 0 {
		d.Reasons = append(d.Reasons, "Running or waiting: "+strings.Join(pending, ", ")+".")
	}
	for _, s := range v.Sources {
		if why := s.unmet(v.Evidence); why != "" {
			d.Reasons = append(d.Reasons, why)
		}
	}
	switch v.Decision {
	case "APPROVED":
		d.Reasons = append(d.Reasons, "Reviewers approved.")
	case "CHANGES_REQUESTED":
		d.Reasons = append(d.Reasons, "A reviewer requested changes.")
	}
}

var reviewWords = map[string]string{"APPROVED": "approved these changes", "CHANGES_REQUESTED": "requested changes", "COMMENTED": "reviewed", "DISMISSED": "reviewed (dismissed)"}

// timeline puts everything that happened in order.
func (v *visit) timeline(rp *repo, i *issue, author *account) ([]entry, error) {
	var out []entry
	var failed error
	add := func(who int64, at when, e entry) {
		a, err := v.accountID(who)
		if err != nil {
			failed = err
			return
		}
		e.Who, e.at, e.When = a.Login, at.Time, v.ago(at)
		out = append(out, e)
	}
	body := i.Body
	if strings.TrimSpace(body) == "" {
		body = "*No description.*"
	}
	out = append(out, entry{ID: "description", Who: author.Login, When: v.ago(i.Created), at: i.Created.Time, What: "opened this", Comment: v.render(body)})
	comments, err := list(v.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE c.issue_id = ? ORDER BY c.id", i.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range comments {
		what := "commented"
		if c.Updated != c.Created {
			what = "commented (edited)"
		}
		add(c.AuthorID, c.Created, entry{ID: fmt.Sprintf("issuecomment-%d", c.ID), What: what, Comment: v.render(c.Body)})
	}
	if i.Pull != nil {
		commits, err := v.f.pullCommits(v.ctx, rp, i)
		if err != nil {
			return nil, err
		}
		for _, c := range commits {
			out = append(out, entry{ID: "commit-" + c.SHA, Who: c.Author.Name, What: "committed “" + truncate(c.subject(), 120) + "”", Commit: c.SHA, at: c.Committer.When, When: v.ago(when{c.Committer.When})})
		}
		reviews, err := v.reviews(i.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range reviews {
			if r.State != "PENDING" && (r.Body != "" || r.State != "COMMENTED") {
				e := entry{ID: fmt.Sprintf("pullrequestreview-%d", r.ID), What: reviewWords[r.State]}
				if r.Body != "" {
					e.Comment = v.render(r.Body)
				}
				add(r.AuthorID, r.Submitted, e)
			}
		}
		lines, err := v.reviewComments(i.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range lines {
			add(c.AuthorID, c.Created, entry{ID: fmt.Sprintf("discussion_r%d", c.ID), What: "commented on " + c.Path, Comment: v.render(c.Body)})
		}
	}
	events, err := v.events(i.ID)
	if err != nil {
		return nil, err
	}
	for k := range events {
		e, err := v.eventEntry(&events[k])
		if err != nil {
			return nil, err
		}
		add(events[k].ActorID, events[k].Created, e)
	}
	// The description stays on top, whatever the dates of commits say.
	slices.SortStableFunc(out[1:], func(a, b entry) int { return a.at.Compare(b.at) })
	return out, failed
}

func (v *visit) eventEntry(e *event) (entry, error) {
	out := entry{ID: fmt.Sprintf("event-%d", e.ID), What: strings.ReplaceAll(e.Event, "_", " ")}
	subject, err := v.accountID(e.SubjectID)
	if err != nil {
		return out, err
	}
	switch e.Event {
	case "labeled":
		out.What, out.Label = "added the label", &label{Name: e.Label, Color: e.Color}
	case "unlabeled":
		out.What, out.Label = "removed the label", &label{Name: e.Label, Color: e.Color}
	case "assigned", "unassigned":
		out.What = e.Event + " " + subject.Login
	case "review_requested":
		out.What = "requested a review from " + subject.Login
	case "review_request_removed":
		out.What = "withdrew the review request to " + subject.Login
	case "renamed":
		out.What = fmt.Sprintf("changed the title from “%s” to “%s”", e.Before, e.After)
	case "base_ref_changed":
		out.What = fmt.Sprintf("changed the base branch from %s to %s", e.Before, e.After)
	case "head_ref_pushed":
		out.What, out.Commit = "pushed", e.After
	case "head_ref_force_pushed":
		out.What, out.Commit = "force-pushed", e.After
	case "head_ref_deleted":
		out.What = "deleted the head branch"
	case "merged":
		out.What, out.Commit = "merged this in", e.SHA
	case "closed", "reopened":
		out.What = e.Event + " this"
	case "ready_for_review":
		out.What = "marked this as ready for review"
	case "convert_to_draft":
		out.What = "made this a draft"
	case "milestoned", "demilestoned":
		out.What = map[bool]string{true: "set the milestone ", false: "removed the milestone "}[e.Event == "milestoned"] + e.After
	}
	return out, nil
}

// act does what the buttons say, with the checks of the API.
func (v *visit) act(rp *repo, number, what string) error {
	i, err := v.numbered(rp, number)
	if err != nil {
		return err
	}
	if v.viewer == nil {
		return errRequiresAuth
	}
	v.http.Body = http.MaxBytesReader(v.w, v.http.Body, 1<<20)
	if err := v.http.ParseForm(); err != nil {
		return badRequest("The form could not be read.")
	}
	perm, err := v.permission(rp, v.viewer)
	if err != nil {
		return err
	}
	back := fmt.Sprintf("/%s/%s/%d", rp.fullName(), i.webKind(), i.Number)
	switch what {
	case "comment":
		var c *comment
		if i.Locked && perm < permWrite {
			err = forbidden("The conversation is locked.")
			break
		}
		err = v.f.write(v.ctx, func(t *txn) error {
			var err error
			c, err = t.addComment(rp, i, v.viewer, v.http.PostForm.Get("body"))
			return err
		})
		if err == nil {
			back += fmt.Sprintf("#issuecomment-%d", c.ID)
		}
	case "state":
		state := v.http.PostForm.Get("state")
		err = v.f.write(v.ctx, func(t *txn) error {
			fresh, err := t.issueID(i.ID)
			if err != nil {
				return err
			}
			return t.applyEdit(rp, fresh, v.viewer, perm, issueEdit{State: &state}, nil)
		})
	case "merge":
		if perm < permWrite {
			err = forbidden("Merging needs write permission.")
			break
		}
		_, err = v.f.merge(v.ctx, rp, i.Number, v.viewer, mergeRequest{Method: v.http.PostForm.Get("method")})
	default:
		return errNotFound
	}
	if err == nil {
		http.Redirect(v.w, v.http, back, http.StatusSeeOther)
		return nil
	}
	ae, internal := asAPIError(err)
	if internal {
		return err
	}
	v.flash, v.status = ae.Message, ae.Status
	for _, e := range ae.Errors {
		v.flash += fmt.Sprintf(" (%v %v)", e["field"], e["code"])
	}
	return v.issuePage(rp, number)
}
