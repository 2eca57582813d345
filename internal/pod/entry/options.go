package entry

import (
	"cmp"
	"errors"
	"flag"
	"time"

	"prow/internal/pod/wrapper"
)

// OptionsEnv is the variable that holds Options as JSON.
const OptionsEnv = "ENTRYPOINT_OPTIONS"

// Defaults of what a job leaves unset.
const (
	DefaultTimeout     = 2 * time.Hour
	DefaultGracePeriod = 15 * time.Second
	DefaultCopyDst     = "/tools/entrypoint"
)

// Options configure entrypoint. Durations are written in nanoseconds.
type Options struct {
	// Timeout is how long the process may run; 0 is DefaultTimeout.
	Timeout time.Duration `json:"timeout"`
	// GracePeriod is the time from interrupt to kill; 0 is DefaultGracePeriod.
	GracePeriod time.Duration `json:"grace_period"`
	// ArtifactDir is made before the process starts.
	ArtifactDir string `json:"artifact_dir,omitempty"`
	// PreviousMarker is waited for; the process runs only if it says 0.
	PreviousMarker string `json:"previous_marker,omitempty"`
	// AlwaysZero makes entrypoint itself exit 0 whatever it marks.
	AlwaysZero bool `json:"always_zero,omitempty"`
	// PropagateErrorCode keeps the exit code of a process that was stopped.
	PropagateErrorCode bool `json:"propagate_error_code,omitempty"`
	// CopyModeOnly copies entrypoint itself to CopyDst and does nothing else.
	CopyModeOnly bool   `json:"copy_mode_only,omitempty"`
	CopyDst      string `json:"copy_dst,omitempty"`

	wrapper.Options
}

// Validate demands something to run and places for its log and marker.
func (o *Options) Validate() error {
	if len(o.Args) == 0 {
		return errors.New("no process to wrap is given")
	}
	if o.PropagateErrorCode && o.AlwaysZero {
		return errors.New("propagate_error_code and always_zero exclude each other")
	}
	return o.Options.Validate()
}

// Bind adds the flags.
func (o *Options) Bind(fs *flag.FlagSet) {
	fs.DurationVar(&o.Timeout, "timeout", DefaultTimeout, "how long the process may run")
	fs.DurationVar(&o.GracePeriod, "grace-period", DefaultGracePeriod, "time from interrupt to kill")
	fs.StringVar(&o.ArtifactDir, "artifact-dir", "", "directory to make for artifacts")
	fs.BoolVar(&o.PropagateErrorCode, "propagate-error-code", false, "keep the exit code of a process that was stopped")
	fs.BoolVar(&o.CopyModeOnly, "copy-mode-only", false, "copy this executable and do nothing else")
	fs.StringVar(&o.CopyDst, "copy-destination", DefaultCopyDst, "where to copy this executable")
	fs.StringVar(&o.ProcessLog, "process-log", "", "file for the output of the process")
	fs.StringVar(&o.MarkerFile, "marker-file", "", "file for the exit code of the process")
	fs.StringVar(&o.MetadataFile, "metadata-file", "", "file in which the process may leave metadata")
}

// SetArgs takes the positional arguments, which are the process to wrap.
func (o *Options) SetArgs(args []string) error {
	o.Args = args
	return nil
}

// Destination is where to copy the executable.
func (o *Options) Destination() string { return cmp.Or(o.CopyDst, DefaultCopyDst) }
