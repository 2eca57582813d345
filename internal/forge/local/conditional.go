package local

import (
	"net/http"
	"strings"
	"time"
)

// lastModified is when a single object changed last; lists do not say.
func lastModified(body any) time.Time {
	if o, ok := body.(obj); ok {
		if at, ok := o["updated_at"].(when); ok {
			return at.Truncate(time.Second)
		}
	}
	return time.Time{}
}

// unchanged judges a conditional request as RFC 9110 does: a list of ETags
// outweighs a date.
func unchanged(h http.Header, etag string, changed time.Time) bool {
	if list := h.Get("If-None-Match"); list != "" {
		return sameETag(list, etag)
	}
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	return err == nil && !changed.IsZero() && !changed.After(since)
}

// sameETag compares weakly, as If-None-Match wants.
func sameETag(list, etag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}
