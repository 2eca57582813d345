package look

import (
	"net/url"
	"strings"
)

// IsWeb tells that a text as a whole is an address of the web, which may become a link.
func IsWeb(text string) bool {
	if !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://") || strings.ContainsAny(text, " \t\r\n\"<>`\\") {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && u.Host != ""
}
