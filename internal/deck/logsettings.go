package deck

import "encoding/json"

// hidesRaw tells whether the configuration of the lens of logs wants no link to all of a
// log. A configuration that cannot be read hides nothing.
func hidesRaw(raw json.RawMessage) bool {
	var settings struct {
		HideRawLog bool `json:"hide_raw_log"`
	}
	return json.Unmarshal(raw, &settings) == nil && settings.HideRawLog
}
