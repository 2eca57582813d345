package metadata

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/api/artifacts"
	"prow/internal/deck/lens/look"
)

const (
	maxFacts = 500
	maxValue = 8 << 10
)

// record is what is read of started.json or finished.json. Programs outside of Prow
// write them, too, so other fields may be anything.
type record struct {
	Timestamp int64
	Node      string
	// Passed is nil where the file does not say it.
	Passed   *bool
	Result   string
	Metadata map[string]any
}

func parse(raw []byte) (*record, error) {
	var fields struct {
		Timestamp json.RawMessage `json:"timestamp"`
		Node      json.RawMessage `json:"node"`
		Passed    *bool           `json:"passed"`
		Result    json.RawMessage `json:"result"`
		Metadata  json.RawMessage `json:"metadata"`
	}
	if err := look.JSON(raw, &fields); err != nil {
		return nil, err
	}
	out := &record{Passed: fields.Passed}
	if f, err := strconv.ParseFloat(strings.Trim(string(fields.Timestamp), `"`), 64); err == nil && f > 0 && f < 1e12 {
		out.Timestamp = int64(f)
	}
	_ = json.Unmarshal(fields.Node, &out.Node)
	_ = json.Unmarshal(fields.Result, &out.Result)
	_ = json.Unmarshal(fields.Metadata, &out.Metadata)
	return out, nil
}

func (r *record) passed() bool {
	if r.Passed != nil {
		return *r.Passed
	}
	return r.Result == artifacts.ResultSuccess
}

// at is a time in Unix seconds that can be shown; zero is none.
func at(seconds int64) time.Time {
	if seconds <= 0 || seconds > 253402300799 { // the year 9999
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

type fact struct {
	Name, Value string
	// Link leads there if the value is an address.
	Link string
}

// flatten makes facts of metadata: of what is nested the names are joined by dots, and
// only texts are kept that say something. Later metadata counts.
func flatten(all ...map[string]any) (facts []fact, more int) {
	values := map[string]string{}
	for _, m := range all {
		collect(values, "", m)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(facts) == maxFacts {
			return facts, len(values) - maxFacts
		}
		value := values[name]
		if len(value) > maxValue {
			value = strings.ToValidUTF8(value[:maxValue], "") + "…"
		}
		f := fact{Name: name, Value: value}
		if look.IsWeb(value) {
			f.Link = value
		}
		facts = append(facts, f)
	}
	return facts, 0
}

func collect(into map[string]string, prefix string, m map[string]any) {
	for name, value := range m {
		switch v := value.(type) {
		case string:
			if v != "" {
				into[prefix+name] = v
			}
		case map[string]any:
			if len(prefix) < maxValue {
				collect(into, prefix+name+".", v)
			}
		}
	}
}
