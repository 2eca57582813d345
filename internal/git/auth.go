package git

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// BasicAuth is the setting by which git presents a user and a password to an
// address and everything below it: a repository, or all of an org. It never
// appears on a command line, and is sent neither to other hosts nor to what is
// beside the address. It is absent for addresses that are not web addresses.
func BasicAuth(address, user, password string) []Setting {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return nil
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	credentials := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return []Setting{{
		Key:   "http." + strings.TrimSuffix(u.String(), "/") + ".extraHeader",
		Value: "Authorization: Basic " + credentials,
	}}
}
