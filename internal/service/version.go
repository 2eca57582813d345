package service

import "runtime/debug"

// version is set by the linker: v<yyyymmdd>-<commit>.
var version string

// Version is the version of the program: the one given by the linker, else the
// commit that the Go tool recorded, else "unset/0".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "unset/0"
}
