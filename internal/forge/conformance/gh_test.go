package conformance

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cli runs the gh program against the local forge. gh wants HTTPS from every
// host but github.com, and takes the port out of the addresses of remotes; it
// is satisfied by a socket through which it reaches its host, and git by a
// rule that rewrites addresses.
type cli struct {
	x    *target
	path string
	dir  string // a clone, once there is one
	env  []string
}

func (x *target) cli(p person) *cli {
	x.t.Helper()
	x.localOnly("a host that gh can be sent to")
	path, err := exec.LookPath("gh")
	if err != nil {
		x.t.Skip("LOUD SKIP: gh is not installed (apt-get install gh), so nothing of it was tried")
	}
	home, err := os.MkdirTemp("", "gh-") // short: the path of a socket has a limit
	x.must(err)
	x.t.Cleanup(func() { _ = os.RemoveAll(home) })
	socket := filepath.Join(home, "forge.sock")
	ln, err := new(net.ListenConfig).Listen(x.t.Context(), "unix", socket)
	x.must(err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.forge.Serve(ctx, ln) }()
	x.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			x.t.Error(err)
		}
	})
	config := "[user]\n\tname = Owner\n\temail = owner@example.com\n[credential]\n\thelper = \"!f() { echo username=x-access-token; echo password=$GH_ENTERPRISE_TOKEN; }; f\"\n" +
		"[url \"" + x.web + "/\"]\n\tinsteadOf = https://127.0.0.1/\n"
	x.must(os.WriteFile(filepath.Join(home, "gitconfig"), []byte(config), 0o600))
	c := &cli{x: x, path: path, dir: home}
	c.env = append(os.Environ(), "GH_CONFIG_DIR="+home, "GH_HOST=127.0.0.1", "GH_ENTERPRISE_TOKEN="+p.token, "GH_PROMPT_DISABLED=1", "NO_COLOR=1", "GH_NO_UPDATE_NOTIFIER=1",
		"GIT_CONFIG_GLOBAL="+filepath.Join(home, "gitconfig"), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "HOME="+home, "LC_ALL=C")
	c.run("config", "set", "http_unix_socket", socket)
	return c
}

// program runs a program where gh works.
func (c *cli) program(name string, args ...string) string {
	c.x.t.Helper()
	cmd := exec.CommandContext(c.x.t.Context(), name, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.x.t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (c *cli) run(args ...string) string { c.x.t.Helper(); return c.program(c.path, args...) }

// shows runs gh and wants all of some texts in what it prints.
func (c *cli) shows(args []string, want ...string) {
	c.x.t.Helper()
	out := c.run(args...)
	for _, w := range want {
		if !strings.Contains(out, w) {
			c.x.t.Errorf("gh %s: no %q in\n%s", strings.Join(args, " "), w, out)
		}
	}
}

func words(s string) []string { return strings.Split(s, " ") }

func TestGHFollowsAPullRequest(t *testing.T) {
	x := newTarget(t)
	c := x.cli(x.owner)
	repo := x.repo()
	full := x.org + "/" + repo
	c.shows(words("auth status"), "Logged in to 127.0.0.1 as owner")
	c.shows(words("api user --jq .login"), "owner")
	c.shows(words("repo view "+full), full, "conformance")
	c.run("repo", "clone", full, "clone")
	c.dir = filepath.Join(c.dir, "clone")
	c.program("git", "checkout", "--quiet", "-b", "topic")
	x.must(os.WriteFile(filepath.Join(c.dir, "news.txt"), []byte("news\n"), 0o600))
	c.program("git", "add", "--all")
	c.program("git", "commit", "--quiet", "-m", "Add news")
	c.program("git", "push", "--quiet", "origin", "topic")
	c.shows(words("pr create --title News --body Text --head topic --base main"), "/"+full+"/pull/1")
	c.shows(words("pr list"), "1\tNews\ttopic\tOPEN")
	c.shows(words("pr view 1"), "title:\tNews", "author:\towner", "additions:\t1")
	c.shows(words("pr diff 1"), "+news")
	c.shows(words("pr status"), "#1  News [topic]")
	sha := strings.TrimSpace(c.program("git", "rev-parse", "HEAD"))
	c.run("api", "repos/"+full+"/statuses/"+sha, "-f", "state=success", "-f", "context=unit", "-f", "target_url=https://example.com/")
	c.shows(words("pr checks 1"), "unit\tpass")
	c.shows(words("pr comment 1 --body /lgtm"), "#issuecomment-")
	c.shows(words("pr view 1 --comments"), "/lgtm")
	c.shows(words("label create lgtm --color 00ff00 --description Looks"), "")
	c.shows(words("label list"), "lgtm\tLooks\t#00ff00", "bug")
	c.run(words("pr edit 1 --add-label lgtm --add-assignee owner --add-reviewer member --title Better")...)
	c.shows(words("pr view 1 --json title,labels,assignees,reviewRequests,statusCheckRollup,mergeable,files,commits"), `"title":"Better"`, `"name":"lgtm"`, `"login":"member"`, `"context":"unit"`, `"mergeable":"MERGEABLE"`, `"path":"news.txt"`)
	c.run("pr", "review", "1", "--comment", "--body", "fine")
	c.run(words("pr merge 1 --squash --delete-branch")...)
	c.shows(words("pr view 1 --json state,mergeCommit"), `"state":"MERGED"`)
	c.shows(words("pr list --state merged"), "1\tBetter\ttopic\tMERGED")
	c.shows(words("api --paginate repos/"+full+"/labels?per_page=2 --jq .[].name"), "bug", "question")
	c.shows([]string{"api", "graphql", "-f", "query={viewer{login}}"}, `"login":"owner"`)
}

func TestGHKeepsIssues(t *testing.T) {
	x := newTarget(t)
	c := x.cli(x.owner)
	repo, elsewhere := x.repo(), x.repo()
	c.env = append(c.env, "GH_REPO=127.0.0.1/"+x.org+"/"+repo)
	c.shows(words("issue create --title Crash --body Text --label bug --assignee owner"), "/issues/1")
	c.shows(words("issue list"), "1\tOPEN\tCrash\tbug")
	c.shows(words("issue view 1"), "title:\tCrash", "assignees:\towner")
	c.shows(words("issue comment 1 --body hello"), "#issuecomment-")
	c.shows(words("issue view 1 --comments"), "hello")
	c.run(words("issue edit 1 --add-label question --remove-label bug --title Crashes")...)
	c.run(words("issue pin 1")...)
	c.shows([]string{"issue", "close", "1", "--reason", "not planned"}, "Closed issue #1")
	c.shows(words("issue view 1 --json state,labels"), `"state":"CLOSED"`, `"name":"question"`)
	c.shows(words("issue reopen 1"), "Reopened issue #1")
	c.shows(words("search issues Crashes --owner "+x.org), "Crashes")
	c.shows(words("issue transfer 1 127.0.0.1/"+x.org+"/"+elsewhere), elsewhere+"/issues/1")
	c.run(words("repo edit 127.0.0.1/" + x.org + "/" + repo + " --description Changed")...)
	c.shows(words("repo view 127.0.0.1/"+x.org+"/"+repo+" --json description,name"), "Changed")
	c.shows(words("repo list "+x.org), repo, elsewhere)
	c.run(words("repo delete " + x.org + "/" + elsewhere + " --confirm")...)
}
