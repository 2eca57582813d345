package verifyowners

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"prow/internal/owners"
)

// maxPeople bounds about how many people the forge is asked for one pull request.
const maxPeople = 200

// loginRe is what can be the login of an account.
var loginRe = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]{0,99})(?:\[bot\])?$`)

// role is somebody's part in a file.
type role struct{ filter, part, login string }

func rolesOf(p *owners.Parsed) map[role]bool {
	out := map[role]bool{}
	if p == nil {
		return out
	}
	for filter, people := range p.Filters {
		for part, names := range map[string][]string{"approvers": people.Approvers, "reviewers": people.Reviewers, "required": people.RequiredReviewers} {
			for _, name := range names {
				if name = owners.Normalize(name); name != "" {
					out[role{filter, part, name}] = true
				}
			}
		}
	}
	return out
}

// newOwners are the people to whom a file gives a part that they did not have before;
// names of aliases are not people.
func newOwners(before, after *owners.Parsed, aliases owners.Aliases) []string {
	had := rolesOf(before)
	var out []string
	for r := range rolesOf(after) {
		if _, alias := aliases[r.login]; !alias && !had[r] {
			out = append(out, r.login)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// newMembers are the people who are in an alias in which they were not before.
func newMembers(before, after owners.Aliases) []string {
	var out []string
	for alias, members := range after {
		for _, login := range members {
			if !slices.Contains(before[alias], login) {
				out = append(out, login)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// empty are the aliases without members, in order.
func (f *aliasFile) empty() []string {
	var out []string
	for alias, members := range f.aliases {
		if len(members) == 0 {
			out = append(out, alias)
		}
	}
	slices.Sort(out)
	return out
}

// people are those who are new, with the files that name them.
type people struct{ files map[string][]string }

func newPeople() *people { return &people{map[string][]string{}} }

func (p *people) note(file string, logins []string) {
	for _, login := range logins {
		p.files[login] = append(p.files[login], file)
	}
}

// stranger is somebody who is not trusted.
type stranger struct {
	login, reason string
	files         []string
}

// strangers are those who are not trusted, in order; why tells the reason, "" for who
// is. Those beyond what is asked for one pull request count as strangers.
func (p *people) strangers(why func(login string) (string, error)) ([]stranger, error) {
	var out []stranger
	asked := 0
	for _, login := range slices.Sorted(maps.Keys(p.files)) {
		reason := "this is no login"
		if loginRe.MatchString(login) {
			if asked++; asked > maxPeople {
				reason = fmt.Sprintf("a pull request can add %d people at most", maxPeople)
			} else {
				var err error
				if reason, err = why(login); err != nil {
					return nil, err
				}
			}
		}
		if reason != "" {
			out = append(out, stranger{login, reason, p.files[login]})
		}
	}
	return out, nil
}
