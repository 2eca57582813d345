// Command images makes the container images of this repository without a container
// engine: `images build` as an OCI layout and as archives, `images push` to a
// registry. `images lock` pins the newest Debian packages.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"prow/tools/images/internal/build"
	"prow/tools/images/internal/oci"
	"prow/tools/images/internal/spec"
)

const usage = `usage: images build [--root DIR] [--out DIR] [IMAGE...]
       images push  [--root DIR] [--tag TAG,...] [--insecure] REGISTRY/PATH [IMAGE...]
       images lock  [--root DIR]`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet("images "+args[0], flag.ExitOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, usage); flags.PrintDefaults() }
	root := flags.String("root", ".", "directory of the repository")
	out := flags.String("out", "artifacts/images", "directory for the images; what is in it is lost")
	tags := flags.String("tag", "", "further tags, beside the version")
	insecure := flags.Bool("insecure", false, "allow a registry without TLS")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find a directory for packages: %w", err)
	}
	b := &build.Builder{
		Root: *root, Cache: filepath.Join(cache, "prow-images"),
		Client: &http.Client{Timeout: 5 * time.Minute}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	switch args[0] {
	case "build":
		return buildImages(ctx, b, *out, flags.Args())
	case "push":
		if flags.NArg() == 0 {
			return errors.New(usage)
		}
		return push(ctx, b, flags.Arg(0), flags.Args()[1:], strings.FieldsFunc(*tags, func(r rune) bool { return r == ',' }), *insecure)
	case "lock":
		return lock(ctx, b)
	}
	return errors.New(usage)
}

func buildImages(ctx context.Context, b *build.Builder, out string, names []string) error {
	built, source, err := b.Build(ctx, names)
	if err != nil {
		return err
	}
	if err := oci.Write(out, source, built); err != nil {
		return err
	}
	if err := table(built); err != nil {
		return err
	}
	return errors.Join(oci.CheckLimits(built)...)
}

func push(ctx context.Context, b *build.Builder, registry string, names, tags []string, insecure bool) error {
	built, source, err := b.Build(ctx, names)
	if err != nil {
		return err
	}
	if err := errors.Join(oci.CheckLimits(built)...); err != nil {
		return err
	}
	pushed, err := oci.Push(ctx, registry, insecure, append([]string{source.Version}, tags...), built)
	for _, name := range pushed {
		fmt.Println(name)
	}
	return err
}

func lock(ctx context.Context, b *build.Builder) error {
	s, err := spec.Load(filepath.Join(b.Root, build.SpecFile))
	if err != nil {
		return err
	}
	packages, err := b.Lock(ctx, s, time.Now())
	if err != nil {
		return err
	}
	encoded, err := json.MarshalIndent(packages, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.Root, build.LockFile), append(encoded, '\n'), 0o644)
}

// table prints digests and sizes.
func table(built []*oci.Built) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tARCHITECTURE\tBYTES\tLIMIT\tDIGEST")
	for _, group := range oci.ByName(built) {
		for _, one := range group {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", one.Spec.Name, one.Platform.Architecture, one.Compressed, one.Spec.Limit, one.Descriptor.Digest)
		}
		digest, err := oci.Index(group).Digest()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\tall\t\t\t%s\n", group[0].Spec.Name, digest)
	}
	return w.Flush()
}
