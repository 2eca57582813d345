package checkconfig

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/forge/github"
)

// ownersPlugins do nothing good where OWNERS files are missing or broken.
var ownersPlugins = []string{"approve", "blunderbuss", "rifle", "owners-label"}

func validateOwners(in *input) []config.Problem {
	// A place is told once, with all its plugins.
	type lack struct {
		place   place
		plugins []string
	}
	lacks := map[string]*lack{}
	verified := in.pluginPlaces("verify-owners")
	for _, plugin := range ownersPlugins {
		for _, p := range in.pluginPlaces(plugin).minus(verified).list() {
			l := lacks[p.String()]
			if l == nil {
				l = &lack{place: p}
				lacks[p.String()] = l
			}
			l.plugins = append(l.plugins, plugin)
		}
	}
	var out []config.Problem
	for _, key := range sortedKeys(lacks) {
		l := lacks[key]
		out = append(out, in.pluginFiles.at(in.whereEnabled(l.plugins[0], l.place), "%s: %s rely on OWNERS files, but verify-owners, which checks them, is not enabled",
			key, strings.Join(l.plugins, ", ")))
	}
	return out
}

// askAtOnce is how many requests are under way at the same time.
const askAtOnce = 8

func verifyOwnersPresence(ctx context.Context, in *input) ([]config.Problem, error) {
	forge, err := in.forge(ctx)
	if err != nil {
		return nil, err
	}
	var wanted places
	for _, plugin := range ownersPlugins {
		wanted = wanted.or(in.pluginPlaces(plugin))
	}
	var out []config.Problem
	for _, p := range wanted.list() {
		// The path of a person's repositories does not say whose installation speaks.
		repos, err := reposOf(github.WithOrg(ctx, orgOf(p.name)), forge.Client, p, wanted)
		if github.IsNotFound(err) {
			out = append(out, in.pluginFiles.at(in.wherePluginsAreEnabled(p), "GitHub does not know %s, or hides it from the account that asks", p.name))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("verify-owners-presence: %w", err)
		}
		lacking := make([]string, len(repos))
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(askAtOnce)
		for i, repo := range repos {
			group.Go(func() error {
				org, name, _ := strings.Cut(repo, "/")
				owners := in.plugins.OwnersFilenames(org, name).Owners
				_, err := forge.GetFile(groupCtx, org, name, owners, "")
				if github.IsNotFound(err) {
					lacking[i] = owners
					return nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, fmt.Errorf("verify-owners-presence: %w", err)
		}
		for i, file := range lacking {
			if file != "" {
				out = append(out, in.pluginFiles.at(in.wherePluginsAreEnabled(p), "%s has no file %s in its root, which the plugins of the repository rely on", repos[i], file))
			}
		}
	}
	return out, nil
}

// wherePluginsAreEnabled are the keys of the entry that enables one of the
// plugins at a place.
func (in *input) wherePluginsAreEnabled(p place) []string {
	for _, plugin := range ownersPlugins {
		if in.pluginPlaces(plugin).and(placesOf(p.name)).empty() {
			continue
		}
		return in.whereEnabled(plugin, p)
	}
	return []string{"plugins", p.name}
}

// reposOf are the repositories of a place that are not archived.
func reposOf(ctx context.Context, client *github.Client, p place, wanted places) ([]string, error) {
	org, name, single := strings.Cut(p.name, "/")
	if single {
		repo, err := client.GetRepo(ctx, org, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", p.name, err)
		}
		if repo.Archived {
			return nil, nil
		}
		return []string{p.name}, nil
	}
	repos, err := client.GetRepos(ctx, org, false)
	if github.IsNotFound(err) {
		repos, err = client.GetRepos(ctx, org, true)
	}
	if err != nil {
		return nil, fmt.Errorf("listing the repositories of %s: %w", org, err)
	}
	var out []string
	for _, repo := range repos {
		if full := org + "/" + repo.Name; !repo.Archived && wanted.has(full) {
			out = append(out, full)
		}
	}
	return out, nil
}

func appIsInstalled(ctx context.Context, in *input) ([]config.Problem, error) {
	if in.options.GitHub.AppID == "" {
		if len(in.options.Warnings) > 0 {
			return nil, errors.New(appInstallation + " needs --github-app-id and --github-app-private-key-path")
		}
		in.report.note("%s was left out: it needs --github-app-id and --github-app-private-key-path", appInstallation)
		return nil, nil
	}
	forge, err := in.forge(ctx)
	if err != nil {
		return nil, err
	}
	wanted := map[string]string{} // a repository by org
	for repo := range in.config.AllRepos() {
		if org := orgOf(repo); !onGerrit(repo) && (wanted[org] == "" || repo < wanted[org]) {
			wanted[org] = repo
		}
	}
	var out []config.Problem
	for _, org := range sortedKeys(wanted) {
		if _, installed := forge.installations[strings.ToLower(org)]; installed {
			continue
		}
		p := in.whereRepo(wanted[org])
		p.Message = fmt.Sprintf("the GitHub app %s is not installed in the org %s, of which %s has jobs or is merged by Tide", in.options.GitHub.AppID, org, wanted[org])
		out = append(out, p)
	}
	return out, nil
}

// whereRepo is where the configuration speaks of a repository: its first job, or
// else a query.
func (in *input) whereRepo(repo string) config.Problem {
	var first *config.JobBase
	if jobs := in.config.AllPresubmits(repo); len(jobs) > 0 {
		first = &jobs[0].JobBase
	} else if jobs := in.config.AllPostsubmits(repo); len(jobs) > 0 {
		first = &jobs[0].JobBase
	}
	if first != nil {
		return config.Problem{File: first.SourcePath, Line: first.SourceLine}
	}
	for _, q := range in.queries() {
		if speaksOf(&q.TideQuery, place{name: repo}) {
			return q.problem("")
		}
	}
	return config.Problem{File: in.options.Config.ConfigPath}
}
