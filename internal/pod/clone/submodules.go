package clone

import (
	"context"
	"errors"
	"net/url"
	"path"
	"strings"

	"prow/internal/git"
)

// authorizeSubmodules gets the credentials for the submodules on the same host
// that the base has. What a pull adds is not believed: it must not make the job
// fetch private code of another org, which its author could then read.
func (s *sequence) authorizeSubmodules(ctx context.Context) {
	if s.cloner.token == nil || s.refs.SkipSubmodules {
		return
	}
	for _, address := range s.submoduleURLs(ctx, "--blob", "HEAD:.gitmodules") {
		to, ok := scopeOf(resolve(s.address, address))
		if !ok || !sameHost(s.address, to.address) || to.org == "" {
			continue
		}
		if _, known := s.logins[to.address]; known {
			continue
		}
		login, err := s.cloner.token(ctx, to.org)
		if err != nil {
			// They may be public; if not git will say so.
			s.cloner.logger.Warn("There is no token for submodules.", "repo", s.refs.OrgRepoString(), "org", to.org, "error", s.cloner.mask(err.Error()))
			continue
		}
		s.logins[to.address] = login
	}
	s.git = s.cloner.runner.With(s.logins.settings()...)
}

// submodules brings the submodules to the disk.
func (s *sequence) submodules(ctx context.Context) error {
	if s.refs.SkipSubmodules {
		return nil
	}
	for _, address := range s.submoduleURLs(ctx, "--file", ".gitmodules") {
		if !isRelative(address) {
			continue
		}
		// Relative addresses are relative to the remote, of which there is none. Git is
		// told one for this command only: submodules have remotes of their own, which a
		// lasting one would replace.
		plain := s.git
		s.git = plain.With(git.Setting{Key: "remote.origin.url", Value: s.address})
		err := s.run(ctx, "submodule", "init")
		s.git = plain
		if err != nil {
			return err
		}
		break
	}
	return s.fetch(ctx, []string{"submodule", "update", "--init", "--recursive"})
}

// submoduleURLs lists the addresses in a .gitmodules file, which may be absent.
func (s *sequence) submoduleURLs(ctx context.Context, where ...string) []string {
	args := append([]string{"config", "--null"}, where...)
	out, err := s.git.Output(ctx, s.dir, append(args, "--get-regexp", `^submodule\..*\.url$`)...)
	if err != nil {
		// Most repositories have no such file. One that is broken makes the update fail.
		if gitErr := (*git.Error)(nil); !errors.As(err, &gitErr) {
			s.cloner.logger.Warn("Submodules cannot be listed.", "repo", s.refs.OrgRepoString(), "error", err.Error())
		}
		return nil
	}
	var addresses []string
	for entry := range strings.SplitSeq(out, "\x00") {
		if _, address, found := strings.Cut(entry, "\n"); found {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

func isRelative(address string) bool {
	return strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../")
}

// resolve is the address of a submodule of the repository at base.
func resolve(base, address string) string {
	if !isRelative(address) {
		return address
	}
	u, err := url.Parse(base)
	if err != nil {
		return address
	}
	u.Path, u.RawPath = path.Join(u.Path, address), ""
	return u.String()
}

func sameHost(a, b string) bool {
	x, okX := webAddress(a)
	y, okY := webAddress(b)
	return okX && okY && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}
