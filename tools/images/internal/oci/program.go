package oci

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"prow/tools/images/internal/spec"
)

// Program builds the program of an image. The file does not depend on where the
// repository lies, on the machine or on its settings of Go.
func Program(ctx context.Context, root, toolchain, version, arch string, image spec.Image) ([]byte, error) {
	dir, err := os.MkdirTemp("", "program-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, image.Name)
	cmd := exec.CommandContext(ctx, "go", append(BuildArgs(version, image), "-o", file, image.Program)...)
	cmd.Dir = root
	cmd.Env = []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off", "GOENV=off", "GOTOOLCHAIN=" + toolchain}
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "PATH", "HOME", "TMPDIR", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOPRIVATE", "GOINSECURE", "GOAUTH", "GOMAXPROCS",
			"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR":
			cmd.Env = append(cmd.Env, variable)
		}
	}
	var messages bytes.Buffer
	cmd.Stderr = &messages
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build %s for %s: %w: %s", image.Program, arch, err, bytes.TrimSpace(messages.Bytes()))
	}
	return os.ReadFile(file)
}

// BuildArgs are the arguments of go that make the program, less where it goes.
func BuildArgs(version string, image spec.Image) []string {
	linker := "-s -w"
	if image.Version != "" {
		linker += " -X " + image.Version + "=" + version
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=" + linker}
	if len(image.Tags) > 0 {
		args = append(args, "-tags="+strings.Join(image.Tags, ","))
	}
	return append(args, image.Flags...)
}
