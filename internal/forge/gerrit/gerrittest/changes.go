package gerrittest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"prow/internal/forge/gerrit"
)

// Owner is who opens changes, and the author of their commits.
const (
	Owner      = "dev"
	OwnerName  = "A Developer"
	OwnerEmail = "dev@example.com"
)

// Open opens a change with one commit for a branch, as a push for review does. on
// is the commit that it is made on; empty is the branch as it is.
func (s *Server) Open(project, branch, on, subject string, files map[string]string) (number int, revision string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if on == "" {
		on = s.branch(project, branch)
	}
	number = len(s.changes) + 1
	sum := sha1.Sum([]byte(strconv.Itoa(number)))
	c := &change{
		project: project, branch: branch, changeID: "I" + hex.EncodeToString(sum[:]), subject: subject, status: gerrit.StatusNew,
		updated: s.tick(), votes: map[string]map[string]int{},
	}
	s.changes = append(s.changes, c)
	return number, s.upload(number, c, on, files)
}

// Amend uploads another patch set of a change. Votes are kept only for optional
// labels, as a project does that copies none but those.
func (s *Server) Amend(number int, on string, files map[string]string) (revision string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.mustFind(number)
	if on == "" {
		on = s.branch(c.project, c.branch)
	}
	for _, label := range s.projects[c.project].Labels {
		if !label.Optional {
			delete(c.votes, label.Name)
		}
	}
	c.updated = s.tick()
	return s.upload(number, c, on, files)
}

// upload makes the next patch set. The caller holds s.mu.
func (s *Server) upload(number int, c *change, on string, files map[string]string) string {
	s.t.Helper()
	message := fmt.Sprintf("%s\n\nChange-Id: %s\n", c.subject, c.changeID)
	sha, err := s.commit(s.projects[c.project], on, message, files, OwnerName+" <"+OwnerEmail+">")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addPatchset(number, c, sha)
	return sha
}

func (s *Server) addPatchset(number int, c *change, sha string) {
	s.t.Helper()
	ref := fmt.Sprintf("refs/changes/%02d/%d/%d", number%100, number, len(c.patchsets)+1)
	s.must(s.projects[c.project].dir, "update-ref", ref, sha)
	c.patchsets = append(c.patchsets, patchset{sha, ref})
}

func (s *Server) mustFind(number int) *change {
	s.t.Helper()
	c, err := s.find(number)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Vote votes as a person.
func (s *Server) Vote(number int, label string, value int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.mustFind(number)
	c.vote(label, "reviewer", value)
	c.updated = s.tick()
}

func (c *change) vote(label, account string, value int) {
	if c.votes[label] == nil {
		c.votes[label] = map[string]int{}
	}
	c.votes[label][account] = value
}

// Approve makes a change ready for Tide: it is reviewed and asks to be submitted.
func (s *Server) Approve(number int) {
	s.t.Helper()
	s.Vote(number, "Code-Review", 2)
	s.Vote(number, "Prow-Auto-Submit", 1)
}

// SetWIP marks a change as work in progress, or as ready.
func (s *Server) SetWIP(number int, wip bool) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.mustFind(number)
	c.wip, c.updated = wip, s.tick()
}

// Abandon abandons a change.
func (s *Server) Abandon(number int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.mustFind(number)
	c.status, c.updated = gerrit.StatusAbandoned, s.tick()
}

// Status is the status of a change.
func (s *Server) Status(number int) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mustFind(number).status
}

// Messages are what was said on a change.
func (s *Server) Messages(number int) []string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.mustFind(number).messages {
		out = append(out, m.Message)
	}
	return out
}

// ID is the id of a change.
func (s *Server) ID(number int) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mustFind(number).id()
}

func (c *change) id() string {
	return url.QueryEscape(c.project) + "~" + url.QueryEscape(c.branch) + "~" + c.changeID
}

// Ref is the ref of the last patch set.
func (s *Server) Ref(number int) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mustFind(number).current().ref
}

// blocks tells why a change cannot be submitted; empty if it can.
func (s *Server) blocks(c *change) string {
	switch {
	case c.status == gerrit.StatusMerged:
		return "change is merged"
	case c.status != gerrit.StatusNew:
		return "change is " + strings.ToLower(c.status)
	case c.wip:
		return "change is work in progress"
	}
	for _, label := range s.projects[c.project].Labels {
		if label.Optional {
			continue
		}
		approved := false
		for _, value := range c.votes[label.Name] {
			if value == label.Min {
				return "label " + label.Name + " is rejected"
			}
			approved = approved || value == label.Max
		}
		if !approved {
			return "label " + label.Name + " is not approved"
		}
	}
	return ""
}

// isAncestor tells whether a commit is part of another.
func (s *Server) isAncestor(p *Project, ancestor, of string) bool {
	_, err := s.runner.Output(context.Background(), p.dir, "merge-base", "--is-ancestor", ancestor, of)
	return err == nil
}

// dependencies are the open changes whose commits a change is made on, the lowest
// first.
func (s *Server) dependencies(c *change) []*change {
	p := s.projects[c.project]
	var out []*change
	for _, other := range s.changes {
		if other != c && other.project == c.project && other.branch == c.branch && other.status == gerrit.StatusNew &&
			s.isAncestor(p, other.current().sha, c.current().sha) {
			out = append(out, other)
		}
	}
	// Each that depends on another comes after it.
	for i := range out {
		for j := i + 1; j < len(out); j++ {
			if s.isAncestor(p, out[j].current().sha, out[i].current().sha) {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out
}

// conflicts tells whether git cannot merge a change into its branch.
func (s *Server) conflicts(c *change) bool {
	tip := s.branch(c.project, c.branch)
	_, err := s.runner.Output(context.Background(), s.projects[c.project].dir, "merge-tree", "--write-tree", tip, c.current().sha)
	return err != nil
}
