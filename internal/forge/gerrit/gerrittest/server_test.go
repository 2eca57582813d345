package gerrittest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prow/internal/forge/gerrit"
	"prow/internal/git"
	"prow/internal/secret"
)

func client(s *Server, o gerrit.Options) *gerrit.Client {
	o.Instances = func() []string { return []string{s.URL} }
	if o.Cookie == nil {
		o.Cookie = func() secret.Value { return secret.New(Cookie) }
	}
	return gerrit.NewClient(o)
}

func TestQueries(t *testing.T) {
	s := Start(t)
	s.AddProject("a", Project{})
	s.AddProject("dir/b", Project{})
	s.Push("a", "dev", map[string]string{"d": "d"})
	numbers := map[string]int{}
	open := func(name, project, branch string) {
		numbers[name], _ = s.Open(project, branch, "", name, map[string]string{name: name})
	}
	open("plain", "a", "main")
	open("approved", "a", "main")
	s.Approve(numbers["approved"])
	open("refused", "a", "main")
	s.Approve(numbers["refused"])
	s.Vote(numbers["refused"], "Prow-Auto-Submit", -1)
	open("wip", "a", "dev")
	s.Approve(numbers["wip"])
	s.SetWIP(numbers["wip"], true)
	open("gone", "dir/b", "main")
	s.Abandon(numbers["gone"])
	open("vetoed", "dir/b", "main")
	s.Approve(numbers["vetoed"])
	s.Vote(numbers["vetoed"], "Code-Review", -2)

	c := client(s, gerrit.Options{})
	for query, want := range map[string]string{
		"status:open": "vetoed refused approved plain wip", "-status:open": "gone", "is:wip": "wip", "status:open -is:wip is:submittable": "refused approved",
		"is:submittable label:Prow-Auto-Submit": "approved", "is:submittable -label:Prow-Auto-Submit=-1": "approved",
		"project:dir/b": "gone vetoed", "(branch:dev OR branch:other) project:a": "wip", "(-branch:dev AND -branch:x) project:a is:submittable": "refused approved",
		`project:"a" -(branch:main OR branch:x)`: "wip",
	} {
		found, err := c.QueryChanges(t.Context(), s.URL, query, 100)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
		got := map[string]bool{}
		for _, change := range found {
			got[change.Subject] = true
		}
		for _, name := range strings.Fields(want) {
			if !got[name] {
				t.Errorf("%s does not find %s", query, name)
			}
			delete(got, name)
		}
		if len(got) > 0 {
			t.Errorf("%s finds %v", query, got)
		}
	}
	for _, query := range []string{"has:draft", "word", "(status:open", "is:mergeable"} {
		if _, err := c.QueryChanges(t.Context(), s.URL, query, 100); err == nil || !strings.Contains(err.Error(), "status 400") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestSubmitTypes(t *testing.T) {
	for name, tc := range map[string]struct {
		submitType string
		// moved is whether the branch went on before.
		moved bool
		// want is how many parents the new tip has; 0 is a refusal.
		parents   int
		unchanged bool // the commit that was reviewed is the tip
	}{
		"forward":               {gerrit.SubmitMergeIfNecessary, false, 1, true},
		"merged where moved":    {gerrit.SubmitMergeIfNecessary, true, 2, false},
		"forward only":          {gerrit.SubmitFastForwardOnly, false, 1, true},
		"forward only, moved":   {gerrit.SubmitFastForwardOnly, true, 0, false},
		"always merged":         {gerrit.SubmitMergeAlways, false, 2, false},
		"rebased where moved":   {gerrit.SubmitRebaseIfNecessary, true, 1, false},
		"forward, not rebased":  {gerrit.SubmitRebaseIfNecessary, false, 1, true},
		"always rebased, moved": {gerrit.SubmitRebaseAlways, true, 1, false},
		"picked, moved":         {gerrit.SubmitCherryPick, true, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := Start(t)
			s.AddProject("p", Project{SubmitType: tc.submitType})
			number, head := s.Open("p", "main", "", "Add x", map[string]string{"x": "x"})
			s.Approve(number)
			before := s.Branch("p", "main")
			if tc.moved {
				before = s.Push("p", "main", map[string]string{"y": "y"})
			}
			err := client(s, gerrit.Options{}).Submit(t.Context(), s.URL, s.ID(number), head)
			after := s.Branch("p", "main")
			if tc.parents == 0 {
				if err == nil || !strings.Contains(err.Error(), "status 409") || after != before {
					t.Fatalf("%v, %s", err, after)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			parents := strings.Fields(s.must(s.projects["p"].dir, "log", "-1", "--format=%P", after))
			if len(parents) != tc.parents || (after == head) != tc.unchanged || s.Status(number) != gerrit.StatusMerged || s.File("p", after, "x") != "x" {
				t.Errorf("the tip %s has the parents %q", after, parents)
			}
			// Once more is no error: the change is merged as it was tested.
			if err := client(s, gerrit.Options{}).Submit(t.Context(), s.URL, s.ID(number), head); err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func TestConflictsAndDependencies(t *testing.T) {
	s := Start(t)
	s.AddProject("p", Project{})
	s.ComputeMergeable = true
	c := client(s, gerrit.Options{})
	first, head := s.Open("p", "main", "", "One", map[string]string{"x": "one\n"})
	second, _ := s.Open("p", "main", "", "Two", map[string]string{"x": "two\n"})
	third, thirdHead := s.Open("p", "main", head, "On one", map[string]string{"z": "z"})
	for _, n := range []int{first, second, third} {
		s.Approve(n)
	}
	if others, hidden, err := c.SubmittedTogether(t.Context(), s.URL, s.ID(third)); err != nil || hidden != 0 || len(others) != 1 || others[0].Number != first {
		t.Errorf("with the third is submitted %+v, %v", others, err)
	}
	if others, _, err := c.SubmittedTogether(t.Context(), s.URL, s.ID(first)); err != nil || len(others) != 0 {
		t.Errorf("with the first is submitted %+v, %v", others, err)
	}
	if err := c.Submit(t.Context(), s.URL, s.ID(third), thirdHead); err != nil || s.Status(first) != gerrit.StatusMerged || s.Status(third) != gerrit.StatusMerged {
		t.Fatalf("a change is submitted with what it depends on: %v", err)
	}
	change, err := c.GetChange(t.Context(), s.URL, s.ID(second), "CURRENT_REVISION")
	if err != nil || change.Mergeable == nil || *change.Mergeable {
		t.Errorf("a conflict: %+v, %v", change, err)
	}
	err = c.Submit(t.Context(), s.URL, s.ID(second), change.CurrentRevision)
	if err == nil || !strings.Contains(err.Error(), "merge conflict") {
		t.Errorf("submitting a conflict: %v", err)
	}
	s.Amend(second, "", map[string]string{"w": "w"})
	if err := c.Submit(t.Context(), s.URL, s.ID(second), change.CurrentRevision); err == nil || !strings.Contains(err.Error(), "is not current") {
		t.Errorf("submitting an old patch set: %v", err)
	}
}

func TestGitClonesChanges(t *testing.T) {
	s := Start(t)
	s.AddProject("dir/p", Project{})
	number, head := s.Open("dir/p", "main", "", "Add x", map[string]string{"x": "x"})
	runner := git.NewRunner(os.Environ())
	dir := t.TempDir()
	clone := filepath.Join(dir, "clone")
	for _, args := range [][]string{
		{"clone", "--quiet", s.URL + "/dir/p", clone},
		{"-C", clone, "fetch", "--quiet", "origin", s.Ref(number)},
		{"-C", clone, "fetch", "--quiet", "origin", head},
	} {
		if _, err := runner.Output(context.Background(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := runner.Output(context.Background(), clone, "show", head+":x"); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
}
