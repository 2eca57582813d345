package local

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	loginPattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9]|[-_](?:[A-Za-z0-9]))*(?:\[bot\])?$`)
	repoPattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	shaPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	shortPattern = regexp.MustCompile(`^[0-9a-fA-F]{7,40}$`)
)

// zeroSHA stands for "no commit" in push payloads.
const zeroSHA = "0000000000000000000000000000000000000000"

// reservedOwners are first path elements the forge uses itself.
var reservedOwners = map[string]bool{
	"api": true, "static": true, "login": true, "logout": true, "healthz": true, "raw": true, "_": true, "_admin": true,
}

func validLogin(s string) bool {
	return len(s) <= 39+len("[bot]") && loginPattern.MatchString(s) && !reservedOwners[strings.ToLower(s)]
}

// validRepoName follows GitHub: letters, digits, '.', '-' and '_'; not a dot
// entry, not a name that reads as an option, not ending in ".git".
func validRepoName(s string) bool {
	return repoPattern.MatchString(s) && s != "." && s != ".." && s[0] != '-' &&
		!strings.HasSuffix(strings.ToLower(s), ".git")
}

// cutRepo splits "owner/name".
func cutRepo(full string) (owner, name string, ok bool) {
	owner, name, ok = strings.Cut(full, "/")
	return owner, name, ok && owner != "" && name != "" && !strings.Contains(name, "/")
}

// parseCount reads a number that is not negative.
func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n, err
}

func validSHA(s string) bool { return shaPattern.MatchString(s) }

// validBranch applies the rules of git check-ref-format to a branch or tag
// name and refuses a leading '-'.
func validBranch(s string) bool {
	if s == "" || len(s) > 255 || s == "@" || s == "HEAD" || s[0] == '-' ||
		strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasSuffix(s, ".") ||
		strings.Contains(s, "..") || strings.Contains(s, "//") || strings.Contains(s, "@{") {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f || strings.ContainsRune(" ~^:?*[\\", r) || r == '\uFFFD' {
			return false
		}
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// validRef accepts a full ref that clients may create, move or delete.
func validRef(s string) bool {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return validBranch(rest)
		}
	}
	return false
}
