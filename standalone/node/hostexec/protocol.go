package hostexec

import "prow/standalone/node/executor"

// InitCommand is the hidden subcommand of the program that calls RunInit.
const InitCommand = "container-init"

// connFD is the init's end of the connection to the program.
const connFD = 3

// initSpec is what the init is told, as one JSON document.
type initSpec struct {
	Hostname   string
	NewRoot    string // existing directory to build the root on
	Argv       []string
	Env        []string
	WorkingDir string
	Mounts     []executor.Mount
	Hide       []string // directories that appear empty
	HideFiles  []string // files that appear empty
	UID, GID   uint32
	Groups     []uint32
	// SingleUser: only one user exists in the namespace.
	SingleUser bool
	// NoSetGroups: the kernel refuses supplementary groups.
	NoSetGroups     bool
	NoNewPrivileges bool
	// Probe ends after the file system has been set up.
	Probe bool
}

// initEvent is what the init tells; exactly one member is set.
type initEvent struct {
	Started bool        `json:",omitempty"`
	Failed  *initFailed `json:",omitempty"`
	Exited  *initExited `json:",omitempty"`
}

type initFailed struct{ Reason, Message string }

type initExited struct {
	Code   int
	Signal int
}

// initCommand is what the init is asked while the job runs.
type initCommand struct{ Signal int }
