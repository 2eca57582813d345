package v1

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that reads from a Go duration string ("2h30m") or
// an integer of nanoseconds, and always writes the string.
// +kubebuilder:validation:Type=string
type Duration struct {
	time.Duration `json:"-"`
}

// Get returns the duration, zero for nil.
func (d *Duration) Get() time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}

// MarshalJSON writes the Go duration string.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(d.String())
}

// UnmarshalJSON reads a Go duration string or an integer of nanoseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var ns int64
	if err := json.Unmarshal(b, &ns); err == nil {
		d.Duration = time.Duration(ns)
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration must be a string such as \"1h30m\" or an integer of nanoseconds, not %s", b)
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: %w", s, err)
	}
	d.Duration = parsed
	return nil
}
