package gerrit

import (
	"fmt"
	"strings"
	"time"
)

// timeForm is how Gerrit writes times, in UTC.
const timeForm = "2006-01-02 15:04:05.000000000"

// Time is a time as Gerrit writes it.
type Time struct{ time.Time }

// UnmarshalJSON reads a time; an empty one is zero.
func (t *Time) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	if s == "" || s == "null" {
		t.Time = time.Time{}
		return nil
	}
	parsed, err := time.ParseInLocation(timeForm, s, time.UTC)
	if err != nil {
		return fmt.Errorf("read a time of Gerrit: %w", err)
	}
	t.Time = parsed
	return nil
}

// MarshalJSON writes a time.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeForm) + `"`), nil
}
