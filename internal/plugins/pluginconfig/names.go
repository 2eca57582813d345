package pluginconfig

import (
	"fmt"
	"slices"
	"strings"

	"prow/internal/config"
)

// knownPlugins are the names hook answers to, in lexical order.
var knownPlugins = []string{
	"approve", "assign", "blockade", "blunderbuss", "branchcleaner", "bugzilla", "buildifier", "cat",
	"cherry-pick-approved", "cherry-pick-unapproved", "cla", "config-updater", "dco", "dog", "golint", "goose",
	"heart", "help", "hold", "invalidcommitmsg", "issue-management", "jira", "label", "lgtm", "lifecycle",
	"merge-method-comment", "mergecommitblocker", "milestone", "milestoneapplier", "milestonestatus", "override",
	"owners-label", "pony", "project", "project-manager", "release-note", "require-matching-label", "retitle",
	"rifle", "shrug", "sigmention", "size", "skip", "slackevents", "stage", "testfreeze", "trick-or-treat",
	"trigger", "verify-owners", "welcome", "wip", "yuks",
}

// renamedPlugins are older names that still work, and what to write instead.
var renamedPlugins = map[string]string{
	"transfer-issue": "issue-management",
}

// removedPlugins are names that older files hold, and what became of them.
var removedPlugins = map[string]string{
	"requiresig":     "it was removed; require-matching-label does what it did",
	"docs-no-retest": "it was removed; tell jobs with skip_if_only_changed which files do not matter",
	"reward-owners":  "it was never part of hook",
}

// KnownPlugins are the names of all plugins, in lexical order, whether or not
// this program has them.
func KnownPlugins() []string { return slices.Clone(knownPlugins) }

// CheckNames tells which of the plugins that are used do not exist. A running
// hook tolerates them; only checkconfig asks.
func (c *Configuration) CheckNames() []config.Problem {
	var out []config.Problem
	c.eachName(func(field, name string) {
		if _, renamed := renamedPlugins[name]; renamed || slices.Contains(knownPlugins, name) {
			return
		}
		message := fmt.Sprintf("there is no plugin %q", name)
		if fate := removedPlugins[name]; fate != "" {
			message += ": " + fate
		} else if close := closest(name, knownPlugins); close != "" {
			message += fmt.Sprintf("; did you mean %q?", close)
		}
		file, at := c.Place(field)
		out = append(out, config.Problem{File: file, Field: at, Message: message})
	})
	return out
}

func (c *Configuration) eachName(f func(field, name string)) {
	for _, key := range sortedKeys(c.Plugins) {
		field := "plugins." + key + ".plugins"
		if c.Plugins[key].legacy {
			field = "plugins." + key
		}
		for i, name := range c.Plugins[key].Plugins {
			f(element(field, i), name)
		}
	}
}

func (c *Configuration) warnOfNames(r *rules) {
	c.eachName(func(field, name string) {
		if now := renamedPlugins[name]; now != "" {
			r.warn(field, "the plugin %s is now called %s", name, now)
		}
	})
}

// closest finds the name that differs from a misspelt one in at most two
// letters, or only in its hyphens.
func closest(name string, known []string) string {
	best, distance := "", 3
	for _, candidate := range known {
		if strings.ReplaceAll(candidate, "-", "") == strings.ReplaceAll(name, "-", "") {
			return candidate
		}
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// editDistance is the number of letters to insert, delete or replace. Names
// that are much longer than any plugin's are not compared.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
