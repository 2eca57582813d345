package github

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/github"
)

// commentTag marks the comments of this reporter; it is their last line.
const commentTag = "<!-- test report -->"

// maxComment is how many characters a comment may have on GitHub, less some room.
const maxComment = 65000

// commentPlan says what is to become of the report comments of a pull request.
type commentPlan struct {
	// create or edit is done first, so that no row is lost between the two.
	create bool
	// edit is the comment to edit, 0 for none.
	edit int64
	text string
	// remove are comments to delete in the end.
	remove []int64
}

// planComment decides about the comment, from those that are there and the
// complete jobs now reported. A comment keeps the rows of other jobs; a failed
// job makes a fresh comment, so that people are notified. What is said already is
// not said again, so a plan that was carried out plans nothing.
func planComment(comments []forge.IssueComment, isBot func(string) bool, jobs []*prowv1.ProwJob, summary bool, render func(rows []string) string) commentPlan {
	var old []string
	var own []forge.IssueComment
	for _, c := range comments {
		if isBot(c.User.Login) && strings.Contains(c.Body, commentTag) {
			own = append(own, c)
			old = append(old, tableRows(c.Body)...)
		}
	}
	rows, fresh := planRows(old, jobs)
	aborted := slices.ContainsFunc(jobs, func(j *prowv1.ProwJob) bool { return j.Status.State == prowv1.AbortedState })

	var plan commentPlan
	var current *forge.IssueComment
	for i := range own {
		if current != nil {
			plan.remove = append(plan.remove, current.ID)
		}
		current = &own[i]
	}
	write := len(rows) > 0 || summary && !aborted
	if write {
		plan.text = render(rows)
	}
	switch {
	case !write && current != nil:
		plan.remove = append(plan.remove, current.ID)
	case !write:
	case current != nil && sameText(current.Body, plan.text):
		plan.text = ""
	case current != nil && !fresh && len(rows) > 0:
		plan.edit = current.ID
	default:
		plan.create = true
		if current != nil {
			plan.remove = append(plan.remove, current.ID)
		}
	}
	return plan
}

// planRows are the rows of the new table; fresh tells of a failure that no
// comment shows yet. Of the rows of one context the last counts, and a verdict
// about a context replaces its row. An error is no verdict.
func planRows(old []string, jobs []*prowv1.ProwJob) (rows []string, fresh bool) {
	for i, r := range old {
		later := func(other string) bool { return firstCell(other) == firstCell(r) }
		judged := func(j *prowv1.ProwJob) bool {
			return cell(j.Spec.Context) == firstCell(r) && j.Status.State != prowv1.ErrorState
		}
		if !slices.ContainsFunc(old[i+1:], later) && !slices.ContainsFunc(jobs, judged) {
			rows = append(rows, r)
		}
	}
	for _, j := range jobs {
		if j.Status.State == prowv1.FailureState {
			r := row(j)
			rows = append(rows, r)
			fresh = fresh || !slices.Contains(old, r)
		}
	}
	return rows, fresh
}

// sameText compares as the forge stores: it may change line ends.
func sameText(a, b string) bool {
	normal := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
	return normal(a) == normal(b)
}

// tableRows are the rows of a comment's table: the lines between a line of
// dashes and the next empty line.
func tableRows(body string) (rows []string) {
	inTable := false
	for line := range strings.SplitSeq(body, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "---"):
			inTable = true
		case line == "":
			inTable = false
		case inTable:
			rows = append(rows, line)
		}
	}
	return rows
}

func firstCell(row string) string {
	first, _, _ := strings.Cut(row, " | ")
	return first
}

// cell is text in a form that can be read back from a cell of a table.
func cell(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

// row is the table row of a failed job.
func row(j *prowv1.ProwJob) string {
	required := "unknown"
	if j.Spec.Type == prowv1.PresubmitJob {
		if optional, err := strconv.ParseBool(j.Labels[prowv1.IsOptionalLabel]); err == nil {
			required = strconv.FormatBool(!optional)
		}
	}
	sha := ""
	if refs := j.Spec.Refs; refs != nil && len(refs.Pulls) > 0 {
		sha = refs.Pulls[0].SHA
	}
	return strings.TrimSpace(strings.Join([]string{
		cell(j.Spec.Context), cell(sha), fmt.Sprintf("[link](%s)", cell(j.Status.URL)), required, "`" + cell(j.Spec.RerunCommand) + "`",
	}, " | "))
}

// commentText writes the comment; extra is the rendering of the report template.
// Of more rows than a comment can hold the last ones stay.
func commentText(author string, rows []string, extra string) string {
	size := 0
	for i := len(rows) - 1; i >= 0; i-- {
		if size += len(rows[i]) + 1; size > maxComment/2 {
			rows = rows[i+1:]
			break
		}
	}
	var b strings.Builder
	if len(rows) == 0 {
		fmt.Fprintf(&b, "@%s: all tests **passed!**\n", author)
	} else {
		fmt.Fprintf(&b, "@%s: The following test%s **failed**, say `/retest` to rerun all failed tests or `/retest-required` to rerun all mandatory failed tests:\n\n", author, plural(len(rows)))
		b.WriteString("Test name | Commit | Details | Required | Rerun command\n--- | --- | --- | --- | ---\n")
		for _, r := range rows {
			b.WriteString(r + "\n")
		}
	}
	if extra != "" && len(extra) < maxComment/3 {
		b.WriteString("\n" + extra + "\n")
	}
	b.WriteString("\n<details>\n\nThis comment is kept up to date: a row goes once its test has passed, and a new failure makes a new comment. " +
		"Commands such as `/retest` are read from comments on this pull request.\n\n</details>\n")
	b.WriteString(commentTag)
	return b.String()
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
