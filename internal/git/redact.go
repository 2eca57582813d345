package git

import "regexp"

var userinfo = regexp.MustCompile(`(?i)\b(https?://)[^/\s@'"]+@`)

// Redact hides the credentials of web addresses wherever they stand in a text.
func Redact(text string) string {
	return userinfo.ReplaceAllString(text, "${1}xxxxx@")
}
