package sim

import "embed"

// Scenarios are the ones that come with the program.
//
//go:embed scenarios/*.yaml
var Scenarios embed.FS
