package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/standalone/controlplane"
	"prow/standalone/node"
	"prow/standalone/node/containerexec"
	"prow/standalone/node/executor"
	"prow/standalone/node/hostexec"
)

// Names of the executors.
const (
	executorHost      = "host"
	executorContainer = "container"
)

// nodeFlags configure the node of this machine.
type nodeFlags struct {
	executor      string
	runtime       string
	runtimeArgs   []string
	createArgs    []string
	imageBinaries map[string]string
	hostPaths     []string
	expose        []string
	env           []string
	logBytes      int64
}

func (f *nodeFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.executor, "executor", executorHost, "how containers run: host (on this machine's files, no images) or container (podman or docker)")
	fs.StringVar(&f.runtime, "container-runtime", "", "program of the container executor; empty: podman or docker, whichever is found")
	fs.StringArrayVar(&f.runtimeArgs, "container-runtime-arg", nil, "argument of the container runtime before its command, such as --runtime=runc")
	fs.StringArrayVar(&f.createArgs, "container-create-arg", nil, "argument of the container runtime's create command, such as --ulimit=nofile=1000:1000")
	fs.StringToStringVar(&f.imageBinaries, "image-binary", nil, "image=path: a program of this machine that stands for an image (without tag)")
	fs.StringSliceVar(&f.hostPaths, "allow-host-path", nil, "directories that hostPath volumes may be in")
	fs.StringSliceVar(&f.expose, "expose", nil, "files and directories that jobs see read-only although they are in a hidden place such as a home")
	fs.StringArrayVar(&f.env, "job-env", nil, "NAME=value for jobs on the host executor that do not set the name themselves; PATH is passed on")
	fs.Int64Var(&f.logBytes, "log-bytes", node.DefaultLogBytes, "how much of the newest output is kept of each container")
}

func (f *nodeFlags) validate() error {
	if f.executor != executorHost && f.executor != executorContainer {
		return fmt.Errorf("--executor: %q is neither %s nor %s", f.executor, executorHost, executorContainer)
	}
	for image, path := range f.imageBinaries {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("--image-binary %s: path %q is not absolute", image, path)
		}
	}
	if f.logBytes < 1 {
		return errors.New("--log-bytes must be positive")
	}
	return nil
}

// run is a node of the control plane until ctx ends.
func (f *nodeFlags) run(ctx context.Context, cp *controlplane.ControlPlane, ready func()) error {
	dir := filepath.Join(cp.Dir(), "node")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory of node: %w", err)
	}
	host, err := hostexec.New(ctx, dir, hostexec.Options{
		Env:           slices.Concat([]string{"PATH=" + os.Getenv("PATH")}, f.env),
		Hide:          []string{cp.Dir()},
		Expose:        f.expose,
		ImageBinaries: f.imageBinaries,
	})
	if err != nil {
		return err
	}
	defer host.Close()
	var exec executor.Executor = host
	if f.executor == executorContainer {
		if exec, err = containerexec.New(ctx, host, containerexec.Options{Program: f.runtime, Args: f.runtimeArgs, CreateArgs: f.createArgs, Owner: cp.Dir()}); err != nil {
			return err
		}
	}
	tls, err := cp.NodeTLS()
	if err != nil {
		return err
	}
	return node.Run(ctx, cp.RESTConfig(), node.Options{
		Dir: dir, TLS: tls, Executor: exec, HostPaths: f.hostPaths, LogBytes: f.logBytes, Ready: ready,
	})
}

// containerInitCommand is process 1 of every container of the host executor.
func containerInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: hostexec.InitCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return hostexec.RunInit() },
	}
}
