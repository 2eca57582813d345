package pluginconfig

import "slices"

// forRepo finds the entry of a list section for a repository: the first that
// lists it by its full name, else the first that lists its org. Entries are
// not merged.
func forRepo[T any](list []T, repos func(*T) []string, org, repo string) (T, bool) {
	for _, name := range []string{org + "/" + repo, org} {
		for i := range list {
			if slices.Contains(repos(&list[i]), name) {
				return list[i], true
			}
		}
	}
	var zero T
	return zero, false
}

// reporter records that a field breaks a rule.
type reporter func(field, format string, args ...any)

// checkUniqueRepos refuses list sections that name an org or a repository twice.
func checkUniqueRepos[T any](section string, list []T, repos func(*T) []string, report reporter) {
	seen := map[string]bool{}
	for i := range list {
		for _, name := range repos(&list[i]) {
			if seen[name] {
				report(section, "%s has two entries, expected one", name)
			}
			seen[name] = true
		}
	}
}
