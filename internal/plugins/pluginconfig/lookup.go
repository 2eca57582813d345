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

// checkUniqueRepos tells of orgs and repositories that two entries of a list
// section name.
func checkUniqueRepos[T any](section string, list []T, repos func(*T) []string, report reporter) {
	seen := map[string]int{}
	for i := range list {
		for j, name := range repos(&list[i]) {
			if first, dup := seen[name]; dup {
				report(element(element(section, i)+".repos", j), "%s has two entries, expected one; the other is number %d", name, first)
				continue
			}
			seen[name] = i
		}
	}
}

// firstCounts adds to a warning of two entries which of them is used.
func firstCounts(warn reporter) reporter {
	return func(field, format string, args ...any) { warn(field, format+", which is the one that counts", args...) }
}
