package clone

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// pulls merges the pulls into the base. The dates count up from that of the base,
// so that the merge commits of two runs are the same.
func (s *sequence) pulls(ctx context.Context) error {
	if len(s.refs.Pulls) == 0 {
		return nil
	}
	headTime := s.cloner.now().Unix()
	if text, err := s.git.Output(ctx, s.dir, "show", "-s", "--format=format:%ct", "HEAD"); err == nil {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			headTime = seconds
		}
	}
	together := fetchedTogether(s.refs.Pulls)
	if len(together) > 0 {
		if err := s.fetchPulls(ctx, together); err != nil {
			return err
		}
	}
	for i, pull := range s.refs.Pulls {
		commit := pull.SHA
		if commit == "" {
			commit = "FETCH_HEAD"
		}
		if commit == "FETCH_HEAD" || len(together) == 0 {
			if err := s.fetchPulls(ctx, []string{pullRef(pull)}); err != nil {
				return err
			}
		}
		date := fmt.Sprintf("%d +0000", headTime+int64(i)+1)
		env := []string{"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date}
		if err := s.runEnv(ctx, env, "merge", "--no-ff", commit); err != nil {
			return s.mergeFailure(ctx, i, err)
		}
	}
	return nil
}

// fetchedTogether are what to fetch of all pulls whose commit is known, if that
// saves a fetch. The others need a fetch of their own: their merge takes what was
// fetched last, and its message tells from where that came.
func fetchedTogether(pulls []v1.Pull) []string {
	var refs []string
	for _, pull := range pulls {
		if ref := pullRef(pull); pull.SHA != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	if len(refs) < 2 {
		return nil
	}
	return refs
}

// pullRef is what to fetch of a pull.
func pullRef(pull v1.Pull) string {
	switch {
	case pull.Ref != "":
		return pull.Ref
	case pull.SHA != "":
		return pull.SHA
	}
	return fmt.Sprintf("pull/%d/head", pull.Number)
}

func (s *sequence) fetchPulls(ctx context.Context, refs []string) error {
	args := append([]string{"fetch"}, s.filter()...)
	return s.fetch(ctx, append(append(args, s.address), refs...))
}

// mergeFailure tells a conflict, which is the authors', from everything else.
func (s *sequence) mergeFailure(ctx context.Context, i int, cause error) error {
	pull := s.refs.Pulls[i]
	name := fmt.Sprintf("pull request %d", pull.Number)
	if pull.SHA != "" {
		name += fmt.Sprintf(" (%.10s)", pull.SHA)
	}
	into := s.refs.BaseRef
	if s.refs.BaseSHA != "" {
		into += fmt.Sprintf(" (%.10s)", s.refs.BaseSHA)
	}
	var before []string
	for _, earlier := range s.refs.Pulls[:i] {
		before = append(before, strconv.Itoa(earlier.Number))
	}
	if len(before) > 0 {
		into += " with " + strings.Join(before, ", ")
	}
	files, err := s.git.Output(ctx, s.dir, "diff", "--name-only", "--diff-filter=U")
	switch {
	case err == nil && files != "":
		const most = 10
		list := strings.Split(files, "\n")
		more := ""
		if len(list) > most {
			list, more = list[:most], fmt.Sprintf(" and %d more", len(list)-most)
		}
		return &failure{artifacts.CloneConflict, fmt.Errorf("%s does not merge into %s: conflicts in %s%s", name, into, strings.Join(list, ", "), more)}
	case strings.Contains(cause.Error(), "unrelated histories") && s.refs.CloneDepth > 0:
		return fmt.Errorf("%s cannot be merged into %s: clone_depth %d cuts off what they have in common", name, into, s.refs.CloneDepth)
	case strings.Contains(cause.Error(), "not something we can merge"):
		return &failure{artifacts.CloneNotFound, fmt.Errorf("%s cannot be merged into %s: what was fetched does not hold the commit", name, into)}
	}
	return fmt.Errorf("merging %s into %s: %w", name, into, cause)
}
