package approvers

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tree is the approvers by directory; a directory with ! keeps those above away.
type tree map[string]string

// change makes a change of files.
func (t tree) change(files ...string) Change {
	people := map[string][]string{}
	alone := map[string]bool{}
	for dir, who := range t {
		name := strings.TrimSuffix(dir, "!")
		people[name], alone[name] = strings.Fields(who), name != dir
	}
	c := Change{NoParentOwners: func(dir string) bool { return alone[dir] }, Number: 7}
	for _, path := range files {
		f := File{Path: path, Approvers: Set{}, Leaf: Set{}}
		found := false
		for dir := parent(path); ; dir = parent(dir) {
			for _, login := range people[dir] {
				f.Approvers[login] = true
				if !found {
					f.Leaf[login] = true
				}
			}
			if len(people[dir]) > 0 && !found {
				f.Dir, found = dir, true
			}
			if dir == "" || alone[dir] && found {
				break
			}
		}
		c.Files = append(c.Files, f)
	}
	return c
}

func approved(logins ...string) (out []Approval) {
	for _, l := range logins {
		login, noIssue := strings.CutSuffix(l, "!")
		out = append(out, Approval{Login: login, NoIssue: noIssue})
	}
	return out
}

// directories shows the directories of a verdict: "a:yes(x)".
func directories(v Verdict) string {
	var out []string
	for _, d := range v.Directories {
		text := d.Dir + ":no"
		if d.Approved {
			text = d.Dir + ":yes"
		}
		if len(d.ApprovedBy) > 0 {
			text += "(" + strings.Join(d.ApprovedBy, " ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestDecide(t *testing.T) {
	owners := tree{"": "root", "a": "ann art", "a/b": "ben", "c": "cat", "d!": "dan", "d/e": "eva", "f": "ann"}
	for name, tc := range map[string]struct {
		files       []string
		approvals   []Approval
		assignees   []string
		edit        func(*Change)
		directories string
		approved    bool
		met         bool
		assigned    string
		suggested   string
	}{
		"nobody has approved yet": {
			files: []string{"c/x"}, directories: "c:no", suggested: "cat",
		},
		"an owner approves": {
			files: []string{"c/x"}, approvals: approved("Cat"), directories: "c:yes(Cat)", approved: true, met: true,
		},
		"an owner of a directory above approves": {
			files: []string{"a/b/x"}, approvals: approved("root"), directories: "a/b:yes(root)", approved: true, met: true,
		},
		"an owner below does not approve above": {
			files: []string{"a/x", "a/b/x"}, approvals: approved("ben"), directories: "a:no(ben)", suggested: "art",
		},
		"directories below needed ones are not needed": {
			files: []string{"a/x", "a/b/x", "c/x"}, approvals: approved("art", "cat"), directories: "a:yes(art), c:yes(cat)", approved: true, met: true,
		},
		"the root stands for everything": {
			files: []string{"x", "a/x", "a/b/x", "c/x"}, directories: ":no", suggested: "root",
		},
		"but not for directories that keep it away": {
			files: []string{"x", "d/x", "d/e/x"}, approvals: approved("root"), directories: ":yes(root), d:no", suggested: "dan",
		},
		"the way up ends there as well": {
			files: []string{"x", "d/e/x"}, approvals: approved("root"), directories: ":yes(root), d/e:no", suggested: "eva",
		},
		"strangers approve nothing": {
			files: []string{"c/x"}, approvals: approved("eve"), directories: "c:no", suggested: "cat",
		},
		"files without owners are never approved, and nobody can be asked": {
			files: []string{"x"}, edit: func(c *Change) { c.Files[0].Approvers, c.Files[0].Leaf = Set{}, Set{} }, directories: ":no",
		},
		"no files, no approval": {},
		"files that need nobody": {
			files: []string{"c/x"}, edit: func(c *Change) { c.Files[0].AutoApproved = true }, approved: true, met: true,
		},
		"one person for two directories is asked before two": {
			files: []string{"a/x", "f/x"}, directories: "a:no, f:no", suggested: "ann",
		},
		"who is assigned is asked first": {
			files: []string{"c/x"}, assignees: []string{"Root"}, directories: "c:no", assigned: "root",
		},
		"others are suggested for what assignees do not cover": {
			files: []string{"a/x", "c/x"}, assignees: []string{"art", "bob"}, directories: "a:no, c:no", assigned: "art", suggested: "cat",
		},
		"assignees are of no use for what is approved": {
			files: []string{"a/x", "c/x"}, assignees: []string{"art"}, approvals: approved("ann"), directories: "a:yes(ann), c:no", suggested: "cat",
		},
		"an issue is missing": {
			files: []string{"c/x"}, approvals: approved("cat"), edit: func(c *Change) { c.IssueRequired = true }, directories: "c:yes(cat)", approved: true,
		},
		"an issue is there": {
			files: []string{"c/x"}, approvals: approved("cat"), edit: func(c *Change) { c.IssueRequired, c.HasIssue = true, true }, directories: "c:yes(cat)", approved: true, met: true,
		},
		"an approver waives it": {
			files: []string{"c/x"}, approvals: approved("cat!"), edit: func(c *Change) { c.IssueRequired = true }, directories: "c:yes(cat)", approved: true, met: true,
		},
		"a stranger cannot waive it": {
			files: []string{"c/x"}, approvals: approved("cat", "eve!"), edit: func(c *Change) { c.IssueRequired = true }, directories: "c:yes(cat)", approved: true,
		},
		"who may approve one kind of file above does not approve another below": {
			files: []string{"a/x.go", "a/b/y.md"}, approvals: approved("gopher"),
			edit: func(c *Change) {
				c.Files[0].Approvers, c.Files[0].Leaf = SetOf("gopher"), SetOf("gopher")
				c.Files[1].Approvers, c.Files[1].Leaf = SetOf("ben", "writer"), SetOf("ben")
			},
			directories: "a:no(gopher)", suggested: "ben",
		},
		"one directory with files of different people needs both": {
			files: []string{"a/x.go", "a/y.md"},
			edit: func(c *Change) {
				c.Files[0].Approvers, c.Files[0].Leaf = SetOf("gopher"), SetOf("gopher")
				c.Files[1].Approvers, c.Files[1].Leaf = SetOf("writer"), SetOf("writer")
			},
			directories: "a:no", suggested: "gopher writer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := owners.change(tc.files...)
			c.Approvals, c.Assignees = tc.approvals, tc.assignees
			if tc.edit != nil {
				tc.edit(&c)
			}
			v := Decide(c)
			if tc.suggested == "art" && slices.Equal(v.SuggestedCCs, []string{"ann"}) {
				tc.suggested = "ann" // either owner of a will do
			}
			got := fmt.Sprint(directories(v), v.FilesApproved, v.RequirementsMet, v.AssignedCCs, v.SuggestedCCs)
			want := fmt.Sprint(tc.directories, tc.approved, tc.met, strings.Fields(tc.assigned), strings.Fields(tc.suggested))
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestSuggestionsAreStable(t *testing.T) {
	owners := tree{"a": "p q r s", "b": "s t u"}
	first := Decide(owners.change("a/x", "b/x"))
	for range 20 {
		if again := Decide(owners.change("a/x", "b/x")); !slices.Equal(again.SuggestedCCs, first.SuggestedCCs) {
			t.Fatalf("got %v, then %v", first.SuggestedCCs, again.SuggestedCCs)
		}
	}
}

// genTree makes an OWNERS tree and a change on it.
func genTree(t *rapid.T) Change {
	dirs := []string{"", "a", "a/b", "a/b/c", "a/d", "e", "e/f"}
	owners := tree{"": "root"}
	for _, dir := range dirs[1:] {
		people := rapid.SliceOfN(rapid.SampledFrom([]string{"p", "q", "r", "s", "t"}), 0, 3).Draw(t, "people")
		if rapid.Bool().Draw(t, "alone") {
			dir += "!"
		}
		owners[dir] = strings.Join(people, " ")
	}
	var files []string
	for _, dir := range rapid.SliceOfN(rapid.SampledFrom(dirs), 1, 7).Draw(t, "files") {
		files = append(files, strings.TrimPrefix(dir+"/x", "/"))
	}
	return owners.change(files...)
}

func TestWhoIsAskedSuffices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genTree(t)
		v := Decide(c)
		c.Approvals = approved(v.SuggestedCCs...)
		if v := Decide(c); !v.FilesApproved || len(v.CCs()) > 0 {
			t.Fatalf("with %v approved: %s, asks %v", c.Approvals, directories(v), v.CCs())
		}
	})
}

func TestApprovedMeansEveryFileHasAnApprover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genTree(t)
		people := rapid.SliceOfN(rapid.SampledFrom([]string{"root", "p", "q", "r", "s", "t", "eve"}), 0, 3).Draw(t, "approvals")
		c.Approvals = approved(people...)
		want := true
		for _, f := range c.Files {
			want = want && f.Approvers.meets(SetOf(people...))
		}
		if got := Decide(c).FilesApproved; got != want {
			t.Fatalf("approved %v, want %v", got, want)
		}
	})
}

func TestSuggestionsAreNearTheOptimum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genTree(t)
		got := len(Decide(c).SuggestedCCs)
		everyone := []string{"root", "p", "q", "r", "s", "t"}
		best := len(everyone)
		for mask := range 1 << len(everyone) {
			people := Set{}
			for i, login := range everyone {
				if mask>>i&1 == 1 {
					people[login] = true
				}
			}
			if len(people) < best && len(unapproved(group(c), people)) == 0 {
				best = len(people)
			}
		}
		// Owners close to the files are asked rather than fewer from above.
		if got > len(group(c)) || got < best {
			t.Fatalf("asks %d people for %d directories, the optimum is %d", got, len(group(c)), best)
		}
	})
}

// The fewest people to ask is the smallest set of leaf approvers that suffices.
// Finding it takes exponential time; asking whom the greedy way finds costs at most
// a tenth more people over many trees.
func TestHardlyMoreThanTheFewestAreAsked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	people := strings.Fields("a b c d e f g h i j")
	asked, fewest := 0, 0
	for range 80 {
		owners := tree{"": "root"}
		var files []string
		for n := range 3 + r.IntN(12) {
			dir := fmt.Sprintf("d%d", n)
			if r.IntN(3) == 0 && n > 0 {
				dir = fmt.Sprintf("d%d/%s", r.IntN(n), dir)
			}
			var own []string
			for _, i := range r.Perm(len(people))[:1+r.IntN(4)] {
				own = append(own, people[i])
			}
			owners[dir] = strings.Join(own, " ")
			files = append(files, dir+"/x")
		}
		c := owners.change(files...)
		c.Number = r.IntN(1000)
		v := Decide(c)
		c.Approvals = approved(v.SuggestedCCs...)
		if !Decide(c).FilesApproved {
			t.Fatalf("%v do not suffice for %v", v.SuggestedCCs, owners)
		}
		asked += len(v.SuggestedCCs)
		best := len(people)
		for set := range 1 << len(people) {
			size := bits.OnesCount(uint(set))
			if size >= best {
				continue
			}
			var chosen []string
			for i, login := range people {
				if set&(1<<i) != 0 {
					chosen = append(chosen, login)
				}
			}
			c.Approvals = approved(chosen...)
			if Decide(c).FilesApproved {
				best = size
			}
		}
		fewest += best
	}
	if ratio := float64(asked) / float64(fewest); ratio > 1.1 {
		t.Errorf("%d people are asked where %d would do: %.3f times as many", asked, fewest, ratio)
	} else {
		t.Logf("%d people are asked where %d would do: %.3f times as many", asked, fewest, ratio)
	}
}
