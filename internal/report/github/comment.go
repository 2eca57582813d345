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

// commentPlan says what is to become of the report comments of a pull request.
type commentPlan struct {
	// remove are comments to delete, first of all.
	remove []int64
	// edit is the comment to edit, 0 to create one.
	edit int64
	// rows are the table of the comment; none with write means "all passed".
	rows  []string
	write bool
}

// planComment decides about the comment, from those that are there and the
// complete jobs now reported. A comment keeps the rows of other jobs; a failed
// job always makes a fresh comment, so that people are notified.
func planComment(comments []forge.IssueComment, isBot func(string) bool, jobs []*prowv1.ProwJob, mustWrite bool) commentPlan {
	var plan commentPlan
	var old []string
	current := int64(0)
	for _, c := range comments {
		if !isBot(c.User.Login) || !strings.Contains(c.Body, commentTag) {
			continue
		}
		if current != 0 {
			plan.remove = append(plan.remove, current)
		}
		current = c.ID
		old = append(old, tableRows(c.Body)...)
	}
	for i, row := range old {
		later := func(r string) bool { return firstCell(r) == firstCell(row) }
		about := func(j *prowv1.ProwJob) bool { return j.Spec.Context == firstCell(row) }
		if !slices.ContainsFunc(old[i+1:], later) && !slices.ContainsFunc(jobs, about) {
			plan.rows = append(plan.rows, row)
		}
	}
	fresh := false
	for _, j := range jobs {
		if j.Status.State == prowv1.FailureState {
			plan.rows = append(plan.rows, row(j))
			fresh = true
		}
	}
	if current != 0 {
		if fresh || len(plan.rows) == 0 {
			plan.remove = append(plan.remove, current)
		} else {
			plan.edit = current
		}
	}
	aborted := slices.ContainsFunc(jobs, func(j *prowv1.ProwJob) bool { return j.Status.State == prowv1.AbortedState })
	plan.write = len(plan.rows) > 0 || mustWrite && !aborted
	return plan
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
	cell, _, _ := strings.Cut(row, " | ")
	return cell
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
	if len(j.Spec.Refs.Pulls) > 0 {
		sha = j.Spec.Refs.Pulls[0].SHA
	}
	return strings.Join([]string{j.Spec.Context, sha, fmt.Sprintf("[link](%s)", j.Status.URL), required, "`" + j.Spec.RerunCommand + "`"}, " | ")
}

// commentText writes the comment; extra is the rendering of the report template.
func commentText(author string, rows []string, extra string) string {
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
	if extra != "" {
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
