package config

// OwnersDirDenylist names directories that are ignored when OWNERS files are searched.
type OwnersDirDenylist struct {
	// Default are regular expressions for every repository.
	Default []string `json:"default,omitempty"`
	// Repos maps an org or "org/repo" to further regular expressions.
	Repos map[string][]string `json:"repos,omitempty"`
	// IgnorePreconfiguredDefaults leaves out the built-in expressions \.git$,
	// _output$ and vendor/.*/.*. Default: false.
	IgnorePreconfiguredDefaults bool `json:"ignore_preconfigured_defaults,omitempty"`
}

// builtinOwnersDenylist is appended unless it is switched off.
var builtinOwnersDenylist = [...]string{`\.git$`, `_output$`, `vendor/.*/.*`}

// OwnersDenylist returns the regular expressions of directories to ignore in a
// repository: the default ones, those of the org, those of the repository,
// then the built-in ones.
func (c *ProwConfig) OwnersDenylist(org, repo string) []string {
	var out []string
	d := c.OwnersDirDenylist
	if d != nil {
		out = append(out, d.Default...)
		out = append(out, d.Repos[org]...)
		out = append(out, d.Repos[org+"/"+repo]...)
	}
	if d == nil || !d.IgnorePreconfiguredDefaults {
		out = append(out, builtinOwnersDenylist[:]...)
	}
	return out
}
