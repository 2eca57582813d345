// Package executor is the contract between a node, which knows pods, and what
// runs a container on this machine.
//
// The node prepares everything that Kubernetes defines: environment, volumes as
// directories of this machine, the log. An executor starts one process tree
// from that, tells how it ended, and leaves nothing behind.
package executor

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
)

// Executor runs containers. Its methods may be called concurrently.
type Executor interface {
	// Admit says why this executor cannot run the pod at all; the pod then
	// stays unscheduled with the error as the reason.
	Admit(pod *corev1.Pod) error
	// Start runs one container and returns once its main process runs. The
	// error is a *StartError if it says what to tell the user. The context
	// bounds the start only, not the life of the container.
	Start(ctx context.Context, spec Spec) (Container, error)
	// Cleanup removes what an earlier process of this program left behind.
	Cleanup(ctx context.Context) error
}

// Container is a started container.
type Container interface {
	// Terminate asks the main process to end (SIGTERM).
	Terminate() error
	// Kill ends every process of the container at once.
	Kill() error
	// Wait returns when no process of the container is left and its output has
	// been written. It may be called once.
	Wait() Exit
}

// Exit is how a container ended.
type Exit struct {
	// Code is the exit status, 128 + n for a death by signal n.
	Code int
	// OOMKilled tells that the kernel killed it for want of memory.
	OOMKilled bool
	// Message explains an end that is not the main process's own doing.
	Message string
}

// Spec is one container to start.
type Spec struct {
	// ID is unique among all containers of the node, including restarts.
	ID string
	// Namespace, Pod and Name are for people: labels, host name, messages.
	Namespace, Pod, Name string
	Hostname             string
	Image                string
	PullPolicy           corev1.PullPolicy
	// Command replaces the image's entry point and Args its arguments; both
	// may be empty.
	Command, Args []string
	// Env has NAME=value entries; the executor adds defaults for names that
	// are missing, such as PATH.
	Env        []string
	WorkingDir string
	Mounts     []Mount
	// Scratch is an existing private directory of the container, removed by
	// the caller after the container ended.
	Scratch        string
	Security       Security
	Stdout, Stderr io.Writer
}

// Mount makes a file or directory of this machine visible to a container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Security is what container and pod say about identity, already merged.
type Security struct {
	User, Group        *int64
	SupplementalGroups []int64
	NonRoot            bool
	NoNewPrivileges    bool
}

// Reasons of a StartError, as kubectl shows them.
const (
	ReasonConfig        = "CreateContainerConfigError"
	ReasonCreate        = "CreateContainerError"
	ReasonStart         = "StartError"
	ReasonImagePull     = "ErrImagePull"
	ReasonImageNotHere  = "ErrImageNeverPull"
	ExitCodeStartFailed = 128
)

// StartError is a failed start in words for the author of the pod.
type StartError struct {
	Reason  string
	Message string
	// Retry tells that the same start may succeed later; otherwise the
	// container has failed for good.
	Retry bool
}

func (e *StartError) Error() string { return e.Reason + ": " + e.Message }

// Failed is a final StartError.
func Failed(reason, format string, args ...any) *StartError {
	return &StartError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
