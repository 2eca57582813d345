// Command entrypoint wraps the process of a test container; see package entry.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"prow/internal/pod/cli"
	"prow/internal/pod/entry"
)

func main() { os.Exit(run()) }

func run() int {
	opts := &entry.Options{}
	code, err := cli.Load(entry.OptionsEnv, os.LookupEnv, os.Args, opts, func(fs *flag.FlagSet) { opts.Bind(fs) }, opts.SetArgs)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return code
	}
	if opts.CopyModeOnly {
		self, err := os.Executable()
		if err == nil {
			err = entry.Copy(self, opts.Destination())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return cli.ExitBadOptions
		}
		return 0
	}
	if err := opts.Validate(); err != nil {
		fmt.Fprintln(os.Stderr, "invalid options:", err)
		return cli.ExitBadOptions
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	// A closed standard output must not end the test. Ignoring the signal would be
	// inherited by the process; catching it is not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return entry.Run(opts, os.Stdout, signals)
}
