package pluginconfig

// Configuration is one immutable snapshot of the plugin configuration.
type Configuration struct {
	// Plugins maps an org or "org/repo" to the plugins it uses. Read
	// EnabledPlugins instead.
	Plugins Plugins `json:"plugins,omitempty"`
	// ExternalPlugins maps an org or "org/repo" to services that get its events.
	ExternalPlugins map[string][]ExternalPlugin `json:"external_plugins,omitempty"`

	Owners      Owners       `json:"owners,omitempty"`
	Approve     []Approve    `json:"approve,omitempty"`
	Blunderbuss Blunderbuss  `json:"blunderbuss,omitempty"`
	Heart       Heart        `json:"heart,omitempty"`
	Help        Help         `json:"help,omitempty"`
	Label       Label        `json:"label,omitempty"`
	Lgtm        []Lgtm       `json:"lgtm,omitempty"`
	Override    Override     `json:"override,omitempty"`
	Retitle     Retitle      `json:"retitle,omitempty"`
	Size        Size         `json:"size,omitempty"`
	Triggers    []Trigger    `json:"triggers,omitempty"`
	Welcome     []Welcome    `json:"welcome,omitempty"`
	Cat         KeyFile      `json:"cat,omitempty"`
	Goose       KeyFile      `json:"goose,omitempty"`
	ReleaseNote ReleaseNotes `json:"release_note,omitempty"`

	index index
}

type index struct {
	version  string
	warnings []string
}

// Version identifies the content of the files.
func (c *Configuration) Version() string { return c.index.version }
