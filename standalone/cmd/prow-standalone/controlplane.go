package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"prow/standalone/controlplane"
)

// stopTimeout bounds an orderly end; after it the process ends anyway, which
// the state directory survives like any kill.
const stopTimeout = 15 * time.Second

// ready is the line printed for programs that wait for the control plane.
type ready struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
}

func controlplaneCommand() *cobra.Command {
	var opts controlplane.Options
	var printReady, untilStdinCloses, removeDir, withNode bool
	var nf nodeFlags
	cmd := &cobra.Command{
		Use:   "controlplane",
		Short: "Run etcd and kube-apiserver until interrupted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out io.Writer = io.Discard
			if printReady {
				out = cmd.OutOrStdout()
			}
			ctx := cmd.Context()
			if untilStdinCloses {
				ctx = withInput(ctx, cmd.InOrStdin())
			}
			var node *nodeFlags
			if withNode {
				node = &nf
				if err := nf.validate(); err != nil {
					return err
				}
			}
			err := runControlplane(ctx, opts, node, out)
			if removeDir && err == nil {
				err = os.RemoveAll(opts.Dir)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Dir, "dir", "", "state directory, made if missing")
	flags.IntVar(&opts.Port, "port", 0, "port of the API server on 127.0.0.1; 0: as last time, or any free one")
	flags.StringSliceVar(&opts.Namespaces, "namespace", nil, "namespaces to make besides default")
	flags.BoolVar(&printReady, "print-ready", false, "print one JSON line with kubeconfig and server once ready")
	flags.BoolVar(&opts.AllAPIs, "all-apis", false, "serve also the APIs that nothing here acts on")
	flags.BoolVar(&untilStdinCloses, "until-stdin-closes", false, "stop when standard input ends, for programs that start this one")
	flags.BoolVar(&removeDir, "remove-dir", false, "remove the state directory after an orderly stop")
	flags.BoolVar(&withNode, "node", false, "also run pods on this machine")
	nf.bind(flags)
	cobra.CheckErr(cmd.MarkFlagRequired("dir"))
	return cmd
}

// withInput ends the context when the input ends.
func withInput(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	return ctx
}

// runControlplane serves until ctx ends or something fails. node may be nil.
func runControlplane(ctx context.Context, opts controlplane.Options, node *nodeFlags, out io.Writer) error {
	cp, err := controlplane.Start(ctx, opts)
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	nodeReady := make(chan struct{})
	if node == nil {
		close(nodeReady)
	} else {
		group.Go(func() error {
			return node.run(gctx, cp, func() { close(nodeReady) })
		})
	}
	group.Go(func() error {
		select {
		case <-nodeReady:
		case <-gctx.Done():
			return nil
		}
		line := ready{Kubeconfig: cp.KubeconfigPath(), Server: cp.RESTConfig().Host}
		if err := json.NewEncoder(out).Encode(line); err != nil {
			return fmt.Errorf("print ready: %w", err)
		}
		tuneIdle()
		return nil
	})
	group.Go(func() error {
		select {
		case <-gctx.Done():
			return nil
		case <-cp.Done():
			return fmt.Errorf("control plane ended: %w", cp.Err())
		}
	})
	err = group.Wait()
	// The node is gone by now: it needs the API server until its end.
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, cp.Stop(stopCtx))
}
