package clone

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/cli"
	"prow/internal/pod/options"
)

// Flags are the options of clonerefs on a command line.
type Flags struct {
	options options.Clone
	repos   cli.List
	keys    cli.List
	alias   string
	uri     string
	hosts   cli.List
	apis    cli.List
}

// Bind adds the flags.
func (f *Flags) Bind(fs *flag.FlagSet) {
	fs.StringVar(&f.options.SrcRoot, "src-root", "", "directory below whose src the repositories go")
	fs.StringVar(&f.options.Log, "log", "", "file for the records")
	fs.StringVar(&f.options.GitUserName, "git-user-name", options.DefaultGitUserName, "name for merge commits")
	fs.StringVar(&f.options.GitUserEmail, "git-user-email", options.DefaultGitUserEmail, "address for merge commits")
	fs.Var(&f.repos, "repo", "org,repo=base[:sha][,number[:sha[:ref]]]..., repeatable")
	fs.Var(&f.keys, "ssh-key", "file or directory with SSH keys, repeatable")
	fs.StringVar(&f.alias, "clone-alias", "", "path below src, with {{.Org}} and {{.Repo}}")
	fs.StringVar(&f.uri, "uri-prefix", "", "address to clone from, with {{.Org}} and {{.Repo}}")
	fs.IntVar(&f.options.MaxParallelWorkers, "max-workers", 0, "how many repositories to clone at once; 0 is all")
	fs.StringVar(&f.options.CookiePath, "cookiefile", "", "file for git's http.cookiefile")
	fs.StringVar(&f.options.MirrorDir, "mirror-dir", "", "directory with bare mirrors at <host>/<org>/<repo>.git to take objects from")
	fs.Var(&f.hosts, "host-fingerprint", "line of a known_hosts file, repeatable")
	fs.StringVar(&f.options.OauthTokenFile, "oauth-token-file", "", "file with a token for https")
	fs.StringVar(&f.options.GitHubAppID, "github-app-id", "", "GitHub App to clone as")
	fs.StringVar(&f.options.GitHubAppPrivateKeyFile, "github-app-private-key-file", "", "file with the private key of the GitHub App")
	fs.Var(&f.apis, "github-api-endpoint", "address of GitHub's API, repeatable (default "+options.DefaultGitHubEndpoint+")")
	fs.BoolVar(&f.options.Fail, "fail", false, "exit with an error if a clone failed")
}

// Options puts the parsed flags together.
func (f *Flags) Options() (options.Clone, error) {
	opts := f.options
	opts.KeyFiles, opts.HostFingerprints, opts.GitHubAPIEndpoints = f.keys, f.hosts, f.apis
	if len(opts.GitHubAPIEndpoints) == 0 {
		opts.GitHubAPIEndpoints = []string{options.DefaultGitHubEndpoint}
	}
	for _, text := range f.repos {
		refs, err := ParseRefs(text)
		if err != nil {
			return opts, fmt.Errorf("--repo %s: %w", text, err)
		}
		if err := errors.Join(expand("--clone-alias", f.alias, refs, &refs.PathAlias), expand("--uri-prefix", f.uri, refs, &refs.CloneURI)); err != nil {
			return opts, err
		}
		opts.Refs = append(opts.Refs, refs)
	}
	return opts, nil
}

// placeholder is what the text of a flag may hold in braces.
var placeholder = regexp.MustCompile(`\{\{\s*\.(Org|Repo)\s*\}\}`)

// expand puts the names of a repository into the text of a flag, which may be
// empty. It knows no more of templates than that: text/template would make the
// linker keep all methods of everything, which is a third of clonerefs.
func expand(flagName, text string, refs v1.Refs, into *string) error {
	if text == "" {
		return nil
	}
	if rest := placeholder.ReplaceAllString(text, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		return fmt.Errorf("%s: %q has more than {{.Org}} and {{.Repo}} in braces", flagName, text)
	}
	*into = placeholder.ReplaceAllStringFunc(text, func(found string) string {
		if strings.Contains(found, "Org") {
			return refs.Org
		}
		return refs.Repo
	})
	return nil
}

// ParseRefs reads org,repo=base[:sha][,number[:sha[:ref]]]...
func ParseRefs(text string) (v1.Refs, error) {
	var refs v1.Refs
	name, list, found := strings.Cut(text, "=")
	if !found {
		return refs, errors.New("there is no '=' between the repository and its refs")
	}
	if refs.Org, refs.Repo, found = strings.Cut(name, ","); !found {
		return refs, errors.New("there is no ',' between org and repo")
	}
	if list == "" {
		return refs, errors.New("no refs are given")
	}
	elements := strings.Split(list, ",")
	base := strings.Split(elements[0], ":")
	if len(base) > 2 {
		return refs, fmt.Errorf("the base %q has more than branch and commit", elements[0])
	}
	refs.BaseRef = base[0]
	if len(base) == 2 {
		refs.BaseSHA = base[1]
	}
	for _, element := range elements[1:] {
		parts := strings.Split(element, ":")
		if len(parts) > 3 {
			return refs, fmt.Errorf("the pull %q has more than number, commit and ref", element)
		}
		number, err := strconv.Atoi(parts[0])
		if err != nil {
			return refs, fmt.Errorf("the pull %q does not begin with a number", element)
		}
		pull := v1.Pull{Number: number}
		if len(parts) > 1 {
			pull.SHA = parts[1]
		}
		if len(parts) > 2 {
			pull.Ref = parts[2]
		}
		refs.Pulls = append(refs.Pulls, pull)
	}
	return refs, nil
}

// Validate tells why clonerefs cannot work with these options.
func Validate(opts *options.Clone, logger *slog.Logger) error {
	if opts.SrcRoot == "" {
		return errors.New("no source root (src_root) is given")
	}
	if opts.Log == "" {
		return errors.New("no log file (log) is given")
	}
	if len(opts.Refs) == 0 {
		return errors.New("no refs to clone are given")
	}
	if opts.MaxParallelWorkers < 0 {
		return fmt.Errorf("max_parallel_workers is %d; it must not be negative", opts.MaxParallelWorkers)
	}
	if opts.MirrorDir != "" && !filepath.IsAbs(opts.MirrorDir) {
		return fmt.Errorf("mirror_dir %q is not absolute", opts.MirrorDir)
	}
	seen := map[string]v1.Refs{}
	for _, refs := range opts.Refs {
		dir, err := cloneDir(opts.SrcRoot, refs)
		if err != nil {
			return err
		}
		if other, ok := seen[dir]; ok {
			if other.Org == refs.Org && other.Repo == refs.Repo {
				return fmt.Errorf("%s is to be cloned twice", refs.OrgRepoString())
			}
			logger.Warn("Two repositories are cloned to one directory.", "path", dir, "first", other.OrgRepoString(), "second", refs.OrgRepoString())
		}
		seen[dir] = refs
	}
	return validateApp(opts)
}

func validateApp(opts *options.Clone) error {
	id, key := opts.GitHubAppID != "", opts.GitHubAppPrivateKeyFile != ""
	switch {
	case !id && !key:
		return nil
	case id != key:
		return errors.New("a GitHub App needs both its id and its private key")
	case opts.OauthTokenFile != "":
		return errors.New("a token and a GitHub App exclude each other")
	case len(opts.GitHubAPIEndpoints) == 0:
		return errors.New("a GitHub App needs an API endpoint")
	}
	return nil
}
