package deck

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	v1 "prow/api/prowjobs/v1"
)

// maxSearch bounds the text of a search, in bytes.
const maxSearch = 1000

// search adds to a filter what a text asks for: words such as repo:org/name,
// job:unit-*, state:failure, type:periodic, author:ann, pr:12, since:7d and
// cluster:build01, and a word without key for a part of the name of a job. A value
// with spaces stands in quotes. What the text says goes before what the filter has.
func (f filter) search(text string) (filter, error) {
	words, err := splitSearch(text)
	if err != nil {
		return f, err
	}
	set := map[string]bool{}
	for _, word := range words {
		key, value, keyed := strings.Cut(word, ":")
		if !keyed {
			key, value = "job", "*"+word+"*"
		}
		if value == "" {
			return f, fmt.Errorf("%s: a value is missing, as in %s:something", key, key)
		}
		if set[key] {
			return f, fmt.Errorf("%s: is asked for twice", key)
		}
		set[key] = true
		switch key {
		case "repo":
			f.Repo = value
		case "job":
			f.Job = value
		case "state":
			f.State = value
			if !knownState(v1.ProwJobState(value)) {
				return f, fmt.Errorf("state:%s is no state; expected scheduling, triggered, pending, success, failure, error or aborted", value)
			}
		case "type":
			f.Type = v1.ProwJobType(value)
			if _, known := (listView{}).Types()[f.Type]; !known {
				return f, fmt.Errorf("type:%s is no type; expected presubmit, postsubmit, periodic or batch", value)
			}
		case "author":
			f.Author = value
		case "pr", "pull":
			f.Pull = value
		case "since":
			f.Since = value
		case "cluster":
			f.Cluster = value
		default:
			return f, fmt.Errorf("%s: cannot be searched for; expected repo, job, state, type, author, pr, since or cluster", key)
		}
	}
	return f, nil
}

func knownState(s v1.ProwJobState) bool {
	switch s {
	case v1.SchedulingState, v1.TriggeredState, v1.PendingState, v1.SuccessState, v1.FailureState, v1.ErrorState, v1.AbortedState:
		return true
	}
	return false
}

// splitSearch splits a text at spaces outside of quotes, which it removes.
func splitSearch(text string) ([]string, error) {
	if len(text) > maxSearch {
		return nil, fmt.Errorf("a search of %d bytes is too long; expected at most %d", len(text), maxSearch)
	}
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range text {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case unicode.IsSpace(r) && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
