package git

import (
	"net/url"
	"strings"
)

// MirrorPlace is where below a directory of mirrors the mirror of an address is:
// <host>/<org>/<repo>.git, with the host in lower case and its port if it has one.
// Whoever fills such a directory and whoever reads it agree by this. Local paths,
// and those that would lead elsewhere, have no place.
func MirrorPlace(address string) (place string, ok bool) {
	host, repo := "", ""
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host, repo = u.Host, u.Path
	} else if login, rest, found := strings.Cut(address, ":"); found && !strings.Contains(login, "/") && !strings.HasPrefix(rest, "//") {
		// user@host:path, as ssh has it.
		host = login[strings.LastIndex(login, "@")+1:]
		repo = rest
	}
	place = strings.ToLower(host) + "/" + strings.Trim(repo, "/")
	for element := range strings.SplitSeq(place, "/") {
		if element == "" || strings.HasPrefix(element, ".") || strings.HasPrefix(element, "-") || strings.ContainsAny(element, "\\\x00") {
			return "", false
		}
	}
	return strings.TrimSuffix(place, ".git") + ".git", true
}
