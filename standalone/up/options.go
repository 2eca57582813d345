package up

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"prow/standalone/node"
)

// Names of the executors.
const (
	ExecutorHost      = "host"
	ExecutorContainer = "container"
)

// Options say where everything lives and what it serves.
type Options struct {
	// Dir is the state directory.
	Dir string
	// RepoPath is the git repository the forge is seeded from.
	RepoPath string
	// Org and Repo name it on the forge.
	Org, Repo string

	DeckPort, ForgePort, HookPort, TidePort, KubePort, MetricsPort int

	Executor         string
	ContainerRuntime string
	RuntimeArgs      []string
	// Expose are directories that jobs on the host executor see although they
	// are in a hidden place, such as a toolchain below a home.
	Expose []string
	// JobEnv are NAME=value for jobs on the host executor.
	JobEnv   []string
	LogBytes int64
	// Utilities is the directory of the pod utilities.
	Utilities string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&o.Dir, "dir", ".state", "State directory; it is made.")
	fs.StringVar(&o.RepoPath, "repo", ".", "Git repository that the forge starts with.")
	fs.StringVar(&o.Org, "org", "local", "Organisation of the repository on the forge.")
	fs.StringVar(&o.Repo, "repo-name", "", "Name of the repository on the forge. Empty: that of its directory.")
	fs.IntVar(&o.DeckPort, "deck-port", 8080, "Port of deck, the pages of Prow.")
	fs.IntVar(&o.ForgePort, "forge-port", 3000, "Port of the forge: pages, API and git.")
	fs.IntVar(&o.HookPort, "hook-port", 8888, "Port on which hook receives webhooks.")
	fs.IntVar(&o.TidePort, "tide-port", 8889, "Port of tide.")
	fs.IntVar(&o.KubePort, "kube-port", 0, "Port of the Kubernetes API; 0 is that of the last start, or any.")
	fs.IntVar(&o.MetricsPort, "metrics-port", 9090, "Port of the metrics of all components; 0 is off.")
	fs.StringVar(&o.Executor, "executor", ExecutorHost, "How containers run: host (on this machine's files, no images) or container (podman or docker).")
	fs.StringVar(&o.ContainerRuntime, "container-runtime", "", "Program of the container executor; empty is podman or docker, whichever is found.")
	fs.StringArrayVar(&o.RuntimeArgs, "container-runtime-arg", nil, "Argument of the container runtime before its command, such as --runtime=runc; repeatable.")
	fs.StringSliceVar(&o.Expose, "expose", nil, "Files and directories that jobs see read-only although they are in a hidden place such as a home.")
	fs.StringArrayVar(&o.JobEnv, "job-env", nil, "NAME=value for jobs on the host executor that do not set the name themselves; repeatable.")
	fs.Int64Var(&o.LogBytes, "log-bytes", node.DefaultLogBytes, "How many bytes of the newest output are kept of each container until the job has ended.")
	fs.StringVar(&o.Utilities, "utilities", "", "Directory of clonerefs, initupload, entrypoint and sidecar. Empty: that of this program.")
}

// utilities are the pod utilities, by the name of their program.
var utilities = []string{"clonerefs", "initupload", "entrypoint", "sidecar"}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Validate makes paths absolute and reports all problems at once.
func (o *Options) Validate() error {
	var errs []error
	absolute := func(flag string, path *string) {
		abs, err := filepath.Abs(*path)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
			return
		}
		*path = abs
	}
	absolute("dir", &o.Dir)
	absolute("repo", &o.RepoPath)
	if o.Repo == "" {
		o.Repo = strings.TrimSuffix(filepath.Base(o.RepoPath), ".git")
	}
	for flag, name := range map[string]string{"org": o.Org, "repo-name": o.Repo} {
		if !nameForm.MatchString(name) {
			errs = append(errs, fmt.Errorf("--%s: %q is no name for a forge, expected letters, digits, '.', '_' and '-'", flag, name))
		}
	}
	if _, err := os.Stat(o.RepoPath); err != nil {
		errs = append(errs, fmt.Errorf("--repo: %w", err))
	}
	taken := map[int]string{}
	for _, p := range []struct {
		flag string
		port int
	}{{"deck-port", o.DeckPort}, {"forge-port", o.ForgePort}, {"hook-port", o.HookPort}, {"tide-port", o.TidePort}, {"kube-port", o.KubePort}, {"metrics-port", o.MetricsPort}} {
		switch {
		case p.port < 0 || p.port > 65535 || p.port == 0 && p.flag != "kube-port" && p.flag != "metrics-port":
			errs = append(errs, fmt.Errorf("--%s=%d is not a port", p.flag, p.port))
		case p.port != 0 && taken[p.port] != "":
			errs = append(errs, fmt.Errorf("--%s and --%s are both %d", taken[p.port], p.flag, p.port))
		}
		taken[p.port] = p.flag
	}
	if o.Executor != ExecutorHost && o.Executor != ExecutorContainer {
		errs = append(errs, fmt.Errorf("--executor: %q is neither %s nor %s", o.Executor, ExecutorHost, ExecutorContainer))
	}
	if o.LogBytes < 1 {
		errs = append(errs, errors.New("--log-bytes must be positive"))
	}
	if o.Utilities == "" {
		self, err := os.Executable()
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("find the pod utilities: %w", err))...)
		}
		o.Utilities = filepath.Dir(self)
	}
	absolute("utilities", &o.Utilities)
	for _, u := range utilities {
		if _, err := os.Stat(filepath.Join(o.Utilities, u)); err != nil {
			errs = append(errs, fmt.Errorf("--utilities: the pod utility %s is missing; `make build` makes it: %w", u, err))
		}
	}
	return errors.Join(errs...)
}

// FullName is the repository's name on the forge.
func (o *Options) FullName() string { return o.Org + "/" + o.Repo }

func (o *Options) path(elements ...string) string {
	return filepath.Join(append([]string{o.Dir}, elements...)...)
}

// URL is the address of a port of this machine, as people and jobs use it.
func URL(port int) string { return fmt.Sprintf("http://localhost:%d", port) }
