package git

import "regexp"

// userinfo ends at the last "@" before the path, as for those who use the address:
// a password may hold one.
var userinfo = regexp.MustCompile(`(?i)\b(https?://)[^/\s'"]+@`)

// Redact hides the credentials of web addresses wherever they stand in a text.
func Redact(text string) string {
	return userinfo.ReplaceAllString(text, "${1}xxxxx@")
}
