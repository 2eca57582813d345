// Package wrapper is what entrypoint and sidecar agree on about one test
// process: its files, and the codes in its marker file.
//
// It uses the standard library only: entrypoint is copied into every test
// container and has to stay small.
package wrapper

import (
	"errors"
	"fmt"
	"strings"
)

// Codes that entrypoint writes into a marker for its own reasons. Other codes
// are those of the test itself, which may also use 127 and 130.
const (
	// CodeInternalError: the process could not be run, or ran out of time.
	CodeInternalError = 127
	// CodeAborted: a signal ended the run.
	CodeAborted = 130
	// CodePreviousFailed: the process was not run because an earlier one failed.
	CodePreviousFailed = 1130
)

// Options name the files of one wrapped process.
type Options struct {
	// Args is the command of the test with its arguments.
	Args []string `json:"args,omitempty"`
	// ContainerName tells the processes of one pod apart.
	ContainerName string `json:"container_name,omitempty"`
	// ProcessLog receives the merged output of the process.
	ProcessLog string `json:"process_log"`
	// MarkerFile receives the exit code; its appearance says that the process ended.
	MarkerFile string `json:"marker_file"`
	// MetadataFile is a JSON object that the test may leave for finished.json.
	MetadataFile string `json:"metadata_file,omitempty"`
}

// Validate demands a log and a marker.
func (o *Options) Validate() error {
	if o.ProcessLog == "" {
		return errors.New("no process log (process_log) is given")
	}
	if o.MarkerFile == "" {
		return errors.New("no marker file (marker_file) is given")
	}
	return nil
}

// String names the process for people: its number and its command.
func (o *Options) String(index int) string {
	return fmt.Sprintf("entry %d: %s", index, strings.Join(o.Args, " "))
}
