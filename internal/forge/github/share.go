package github

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxSharedReads bounds the answers that one context keeps, in bytes. What goes
// beyond is read again by each who wants it.
const maxSharedReads = 32 << 20

type sharedKey struct{}

// ShareReads returns a context whose reads are made once: whoever asks, through
// any client of the same credentials, for what has been read with it, or is just
// being read, gets that answer. It is for the handlers of one event, which all
// look at the same things.
//
// A change made with the context makes it forget what the change may have changed.
// Changes made by others are
// not noticed: the context should live no longer than its event. ReadFresh is for
// those who wait for a change of others.
func ShareReads(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedKey{}, &sharedReads{bound: maxSharedReads, reads: map[readKey]*sharedRead{}})
}

// ReadFresh returns a context whose reads always go to the forge.
func ReadFresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedKey{}, (*sharedReads)(nil))
}

func sharedReadsOf(ctx context.Context) *sharedReads {
	s, _ := ctx.Value(sharedKey{}).(*sharedReads)
	return s
}

// readKey tells reads apart. Credentials are those of the client, and of the org
// where the client is an App.
type readKey struct {
	credentials         *bot
	org, target, accept string
	probe               bool
}

type sharedReads struct {
	bound int

	mu    sync.Mutex
	used  int
	reads map[readKey]*sharedRead
}

// sharedRead is a read that was made or is being made.
type sharedRead struct {
	done chan struct{}
	// ok and answer are set before done is closed. Without ok others have to ask
	// for themselves.
	ok     bool
	answer fetched
	size   int
}

// read returns the answer for a key, from ask or from somebody else's ask. A
// failure is the failure of who asked only: the others ask again, since the first
// may have failed because its own time was up.
func (s *sharedReads) read(ctx context.Context, key readKey, ask func() (fetched, error)) (fetched, error) {
	for {
		s.mu.Lock()
		there := s.reads[key]
		if there == nil {
			break // with the lock held
		}
		s.mu.Unlock()
		select {
		case <-there.done:
		case <-ctx.Done():
			return fetched{}, context.Cause(ctx)
		}
		if there.ok {
			return there.answer, nil
		}
	}
	mine := &sharedRead{done: make(chan struct{})}
	s.reads[key] = mine
	s.mu.Unlock()
	defer close(mine.done)

	answer, err := ask()
	mine.ok, mine.answer = err == nil && isLasting(answer.status), answer

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads[key] != mine {
		return answer, err // forgotten meanwhile: those who wait may have it, later ones not
	}
	size := len(answer.body) + len(key.target) + 1024 // and the header
	if !mine.ok || s.used+size > s.bound {
		delete(s.reads, key)
		return answer, err
	}
	mine.size = size
	s.used += size
	return answer, err
}

// isLasting tells answers about things from those about the asker or the moment.
func isLasting(status int) bool {
	return status < 300 || status == http.StatusFound || status == http.StatusNotFound
}

// forget drops what a change to a path may have changed; GraphQL's changes have
// none, and may have changed anything.
func (s *sharedReads) forget(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, read := range s.reads {
		if mayChange(path, key.target) {
			delete(s.reads, key)
			s.used -= read.size
		}
	}
}

// mayChange tells whether a change at a path may change what a read shows. That is
// known not to be so for reads of other repositories, or other orgs, and for what
// has nothing to do with a conversation where that is all that changes: searches
// look everywhere, and numbers of repositories tell nothing.
func mayChange(path, read string) bool {
	org, repo := place(path)
	readOrg, readRepo := place(read)
	switch {
	case org == "" || readOrg == "":
		return true
	case repo == "" || readRepo == "":
		return org == readOrg
	case org != readOrg || repo != readRepo:
		return false
	}
	return !staysSame(within(path), within(read))
}

// within are the elements of a path behind the repository, without a query.
func within(path string) []string {
	path, _, _ = strings.Cut(path, "?")
	if elements := strings.Split(strings.ToLower(path), "/"); len(elements) > 3 {
		return elements[3:]
	}
	return nil
}

var (
	// conversation are the parts of an issue or pull request of which a change shows
	// in the part and in the issue, and not in the other parts, or in these.
	conversation = []string{"issues/labels", "issues/assignees", "issues/comments", "pulls/requested_reviewers"}
	said         = []string{"pulls/comments", "pulls/reviews"}
	// content is what of a repository, and of a pull request, no conversation changes.
	content = []string{"git", "contents", "commits", "compare", "collaborators", "branches", "pulls/files", "pulls/commits"}
)

// staysSame tells whether a read of a repository is known to show the same after
// a change in it. The first is the case for what plugins do most: they label,
// comment, assign and ask for reviews, while others read what was changed by the
// pull request and who owns it.
func staysSame(change, read []string) bool {
	changed, number := part(change)
	if !slices.Contains(conversation, changed) {
		return false
	}
	shown, readNumber := part(read)
	switch {
	case slices.Contains(content, shown):
		return true
	case readNumber == "" || number == "": // lists; and comments by their own number
		return false
	case readNumber != number:
		return true
	}
	return shown != changed && (slices.Contains(conversation, shown) || slices.Contains(said, shown))
}

// part names what elements behind a repository are about, such as "pulls/files",
// and the number of the issue or pull request, if it is one of those.
func part(elements []string) (name, number string) {
	switch {
	case len(elements) == 0:
		return "", ""
	case elements[0] != "issues" && elements[0] != "pulls":
		return elements[0], ""
	case len(elements) > 1 && elements[1] == "comments":
		return elements[0] + "/comments", ""
	case len(elements) < 3:
		return elements[0], strings.Join(elements[1:], "")
	}
	return elements[0] + "/" + elements[2], elements[1]
}

// place is the org and the repository of a path, in lower case, as far as it names them.
func place(path string) (org, repo string) {
	elements := strings.SplitN(strings.ToLower(path), "/", 4)
	switch {
	case len(elements) >= 3 && elements[0] == "repos":
		repo, _, _ = strings.Cut(elements[2], "?")
		return elements[1], repo
	case len(elements) >= 2 && elements[0] == "orgs":
		org, _, _ = strings.Cut(elements[1], "?")
		return org, ""
	}
	return "", ""
}
