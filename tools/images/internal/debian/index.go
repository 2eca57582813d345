package debian

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"pault.ag/go/debian/deb"
	"pault.ag/go/debian/version"

	"prow/tools/images/internal/spec"
)

// maxIndex bounds an unpacked index, in bytes.
const maxIndex = 512 << 20

// Index is the newest packages of an architecture, by name.
type Index map[string]Candidate

// Candidate is a package of an index.
type Candidate struct {
	spec.Package
	// Depends are names; of alternatives it is the first.
	Depends []string
}

// ReadIndex reads the indexes of all suites. Each is vouched for by a Release file
// that gpgv verifies with the keyring. now names the snapshot that has the versions.
func ReadIndex(ctx context.Context, client *http.Client, d spec.Debian, arch string, now time.Time) (Index, error) {
	index := Index{}
	for _, archive := range d.Archives {
		for _, suite := range archive.Suites {
			if err := index.read(ctx, client, d.Keyring, archive, suite, arch, now); err != nil {
				return nil, fmt.Errorf("read the index of %s for %s: %w", suite, arch, err)
			}
		}
	}
	return index, nil
}

func (index Index) read(ctx context.Context, client *http.Client, keyring string, archive spec.Archive, suite, arch string, now time.Time) error {
	base := archive.URL + "/dists/" + suite + "/"
	signed, err := get(ctx, client, base+"InRelease")
	if err != nil {
		return err
	}
	release, err := verify(ctx, keyring, signed)
	if err != nil {
		return err
	}
	name := "main/binary-" + arch + "/Packages.xz"
	want, err := checksumIn(release, name)
	if err != nil {
		return err
	}
	packed, err := get(ctx, client, base+name)
	if err != nil {
		return err
	}
	if got := checksum(packed); got != want {
		return fmt.Errorf("%s has the checksum %s, but the Release file says %s", name, got, want)
	}
	unpacked, err := deb.DecompressorFor(".xz")(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(unpacked, maxIndex+1))
	if err != nil {
		return err
	}
	if len(content) > maxIndex {
		return fmt.Errorf("%s has more than %d bytes", name, maxIndex)
	}
	for paragraph := range strings.SplitSeq(string(content), "\n\n") {
		if fields := parse(paragraph); fields["Package"] != "" {
			if err := index.add(fields, archive, arch, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// verify returns the text that a valid signature of the keyring covers.
func verify(ctx context.Context, keyring string, signed []byte) (string, error) {
	file, err := os.CreateTemp("", "InRelease-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(signed); err != nil {
		return "", err
	}
	var text, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, "gpgv", "--keyring", keyring, "--output", "-", file.Name())
	cmd.Stdout, cmd.Stderr = &text, &messages
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("verify the Release file with gpgv and %s: %w: %s", keyring, err, bytes.TrimSpace(messages.Bytes()))
	}
	return text.String(), nil
}

// checksumIn finds the SHA-256 of a file in the text of a Release file.
func checksumIn(release, name string) (string, error) {
	_, sums, found := strings.Cut(release, "\nSHA256:\n")
	if !found {
		return "", fmt.Errorf("the Release file has no SHA256 section")
	}
	lines := bufio.NewScanner(strings.NewReader(sums))
	for lines.Scan() && strings.HasPrefix(lines.Text(), " ") {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[2] == name {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("the Release file does not name %s", name)
}

// parse reads the fields of a paragraph; those that go on over lines keep the first.
func parse(paragraph string) map[string]string {
	fields := map[string]string{}
	for line := range strings.SplitSeq(paragraph, "\n") {
		if name, value, found := strings.Cut(line, ": "); found && !strings.HasPrefix(line, " ") {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

// add takes a package unless there is a newer one.
func (index Index) add(fields map[string]string, archive spec.Archive, arch string, now time.Time) error {
	name := fields["Package"]
	newer, err := version.Parse(fields["Version"])
	if err != nil {
		return fmt.Errorf("package %s: %w", name, err)
	}
	if old, ok := index[name]; ok {
		if known, err := version.Parse(old.Version); err == nil && version.Compare(newer, known) <= 0 {
			return nil
		}
	}
	size, err := strconv.ParseInt(fields["Size"], 10, 64)
	if err != nil {
		return fmt.Errorf("package %s: size: %w", name, err)
	}
	source, _, _ := strings.Cut(fields["Source"], " ")
	if source == "" {
		source = name
	}
	candidate := Candidate{Package: spec.Package{
		Name: name, Version: fields["Version"], Architecture: arch, Source: source, SHA256: fields["SHA256"], Size: size,
		URLs: []string{
			archive.URL + "/" + fields["Filename"],
			archive.Snapshot + "/" + now.UTC().Format("20060102T150405Z") + "/" + fields["Filename"],
		},
	}}
	for dependency := range strings.SplitSeq(fields["Pre-Depends"]+","+fields["Depends"], ",") {
		first, _, _ := strings.Cut(dependency, "|")
		first, _, _ = strings.Cut(strings.TrimSpace(first), " ")
		if first, _, _ = strings.Cut(first, ":"); first != "" {
			candidate.Depends = append(candidate.Depends, first)
		}
	}
	index[name] = candidate
	return nil
}

// Closure is packages and all that they depend on, less those not wanted.
func (index Index) Closure(names, without []string) ([]spec.Package, error) {
	var packages []spec.Package
	seen := map[string]bool{}
	queue := slices.Clone(names)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] || slices.Contains(without, name) {
			continue
		}
		seen[name] = true
		candidate, ok := index[name]
		if !ok {
			return nil, fmt.Errorf("no suite has a package %s", name)
		}
		packages = append(packages, candidate.Package)
		queue = append(queue, candidate.Depends...)
	}
	spec.Sort(packages)
	return packages, nil
}
