// Package configupdater writes files of merged pull requests to ConfigMaps, so that
// what is merged takes effect.
//
// Events may come late and twice: a ConfigMap that already has the content of a later
// commit of the same repository is never brought back to an earlier one.
package configupdater

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "config-updater"

// marker begins the comment, and finds it again.
const marker = "Updated these ConfigMaps:"

// maxFile bounds the size of a file in bytes. A ConfigMap takes a MiB; what is
// compressed may be larger.
const maxFile = 16 << 20

// maxListed is how many ConfigMaps, and files of each, the comment lists at most.
const maxListed = 50

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The config-updater plugin writes configured files to ConfigMaps when a pull request to the default branch is merged that changes them, " +
			"and says so on the pull request.",
		Config: describeConfig,
		Snippet: "config_updater:\n  gzip: false\n  maps:\n    config/prow/config.yaml:\n      name: config\n    config/jobs/**/*.yaml:\n      name: job-config\n" +
			"      gzip: true\n      use_full_path_as_key: true\n      clusters:\n        default:\n        - prow\n      allowed_repos:\n      - org/repo\n",
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	var globs []string
	for glob := range cfg.ConfigUpdater.Maps {
		globs = append(globs, glob)
	}
	slices.Sort(globs)
	out := map[string]string{}
	for _, full := range append([]string{""}, repos...) {
		org, repo, _ := strings.Cut(full, "/")
		var says []string
		for _, glob := range globs {
			spec := cfg.ConfigUpdater.Maps[glob]
			if full == "" && len(spec.AllowedRepos)+len(spec.DeniedRepos) > 0 || full != "" && (len(spec.AllowedRepos)+len(spec.DeniedRepos) == 0 || !spec.Allows(org, repo)) {
				continue
			}
			says = append(says, glob+" goes to "+strings.Join(spec.Names(), ", "))
		}
		if len(says) > 0 {
			out[full] = strings.Join(says, "; ") + "."
		}
	}
	return out
}

// concerns tells whether an event is the merge into the default branch.
func concerns(e *github.PullRequestEvent) bool {
	pr := &e.PullRequest
	return e.Action == github.ActionClosed && pr.Merged && pr.MergeSHA != nil && *pr.MergeSHA != "" && pr.Base.Ref == e.Repo.DefaultBranch
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	if !concerns(e) {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	changes, err := a.GitHub.GetPullRequestChanges(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, repo, e.Number, err)
	}
	p := plan(&a.Plugins.ConfigUpdater, org, repo, a.Config.ProwJobNamespace, changes)
	if len(p) == 0 {
		return nil
	}
	u := &updater{agent: a, org: org, repo: repo, merge: *e.PullRequest.MergeSHA, files: filesOf(p), later: map[string]bool{}, contents: map[string]map[string][]byte{}}
	var done []target
	var errs []error
	for _, t := range ordered(p) {
		if err := u.update(ctx, t, p[t]); err != nil {
			errs = append(errs, fmt.Errorf("ConfigMap %s of namespace %s of cluster %s: %w", t.name, t.namespace, t.cluster, err))
			continue
		}
		done = append(done, t)
	}
	if len(done) > 0 {
		text := plugins.ReplyWithReason(e.PullRequest.User.Login, told(done, p), "The pull request was merged.")
		errs = append(errs, a.KeepComment(ctx, org, repo, e.Number, marker, text))
	}
	return errors.Join(errs...)
}

// told says what was done.
func told(done []target, p map[target][]update) string {
	var b strings.Builder
	b.WriteString(marker + "\n")
	for i, t := range done {
		if i == maxListed {
			fmt.Fprintf(&b, "\n- and %d more", len(done)-i)
			break
		}
		fmt.Fprintf(&b, "\n- `%s` in namespace `%s` of cluster `%s` with these keys and files:", t.name, t.namespace, t.cluster)
		for j, u := range p[t] {
			if j == maxListed {
				fmt.Fprintf(&b, "\n  - and %d more", len(p[t])-j)
				break
			}
			what := "from"
			if u.remove {
				what = "removed with"
			}
			fmt.Fprintf(&b, "\n  - %s %s %s", plugins.Code(u.key), what, plugins.Code(u.file))
		}
	}
	return b.String()
}

// updater brings ConfigMaps to a merge, or leaves them at a later one.
type updater struct {
	agent     *plugins.Agent
	org, repo string
	merge     string
	// files are all that the plan is about.
	files map[string]bool
	// later tells of versions whether they come after the merge.
	later map[string]bool
	// contents are those of files by commit.
	contents map[string]map[string][]byte
}

func (u *updater) update(ctx context.Context, t target, updates []update) error {
	c, err := u.agent.Cluster(t.cluster)
	if err != nil {
		return err
	}
	var skipped []error
	cm, err := write(ctx, c, t, func(cm *corev1.ConfigMap) error {
		version := cm.Data[versionKey]
		ahead, err := u.isLater(ctx, version)
		if err != nil {
			return err
		}
		if !ahead {
			version = u.merge
		}
		var values []value
		values, skipped, err = u.values(ctx, version, ahead, updates)
		if err != nil {
			return err
		}
		apply(cm, version, values)
		return nil
	})
	if err != nil {
		return err
	}
	u.agent.ConfigMapSize.WithLabelValues(t.name, t.namespace).Set(float64(size(cm)))
	return errors.Join(skipped...)
}

var hashRe = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// isLater tells whether a version is a commit that comes after the merge. One of
// another repository does not.
func (u *updater) isLater(ctx context.Context, version string) (bool, error) {
	if version == u.merge || !hashRe.MatchString(version) {
		return false, nil
	}
	if later, known := u.later[version]; known {
		return later, nil
	}
	comparison, err := u.agent.GitHub.Compare(ctx, u.org, u.repo, u.merge, version)
	if err != nil && !github.IsNotFound(err) {
		return false, fmt.Errorf("whether %s comes after %s: %w", version, u.merge, err)
	}
	u.later[version] = err == nil && comparison.Status == "ahead"
	return u.later[version], nil
}

// values are the contents of the files at a commit. If that comes after the merge, a
// file that is not there is left to the merge that removed it, and one that is there
// again to the one that brought it back. skipped are files that cannot be used; the
// others do not suffer.
func (u *updater) values(ctx context.Context, commit string, ahead bool, updates []update) (out []value, skipped []error, err error) {
	contents, err := u.read(ctx, commit)
	if err != nil {
		return nil, nil, err
	}
	for _, up := range updates {
		content, there := contents[up.file]
		if err := validKey(up.key); err != nil {
			skipped = append(skipped, err)
			continue
		}
		switch {
		case up.remove && ahead && there, !up.remove && ahead && !there:
		case up.remove:
			out = append(out, value{key: up.key})
		case !there:
			skipped = append(skipped, fmt.Errorf("%s is no regular file of %s", up.file, commit))
		case content == nil:
			skipped = append(skipped, fmt.Errorf("%s has more than %d bytes", up.file, maxFile))
		default:
			v, err := encode(up, content)
			if err != nil {
				return nil, nil, err
			}
			out = append(out, v)
		}
	}
	return out, skipped, nil
}

// read is the contents of the files of the plan that a commit has, as git has them:
// a symbolic link leads nowhere. A file that is too large has the content nil.
func (u *updater) read(ctx context.Context, commit string) (map[string][]byte, error) {
	if known, ok := u.contents[commit]; ok {
		return known, nil
	}
	found := map[string][]byte{}
	err := u.agent.Git.Files(ctx, u.org, u.repo, commit, func(m *git.Mirror) error {
		var paths, blobs []string
		err := m.List(ctx, func(path, blob string) {
			if u.files[path] {
				paths, blobs = append(paths, path), append(blobs, blob)
			}
		})
		if err != nil {
			return err
		}
		return m.Read(ctx, blobs, maxFile, func(i int, content []byte) {
			if content != nil {
				content = append([]byte{}, content...)
			}
			found[paths[i]] = content
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading files of %s: %w", commit, err)
	}
	u.contents[commit] = found
	return found, nil
}

// filesOf are the files of a plan.
func filesOf(p map[target][]update) map[string]bool {
	out := map[string]bool{}
	for _, updates := range p {
		for _, u := range updates {
			out[u.file] = true
		}
	}
	return out
}
