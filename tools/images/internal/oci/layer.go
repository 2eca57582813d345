// Package oci makes images, what is said about them, and the directory that holds
// all of it: an OCI layout.
package oci

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"prow/tools/images/internal/rootfs"
	"prow/tools/images/internal/spec"
)

// layer is a layer in memory.
type layer struct {
	packed, compressed []byte
	mediaType          types.MediaType
}

func sha(content []byte) v1.Hash {
	sum := sha256.Sum256(content)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

func (l *layer) Digest() (v1.Hash, error) { return sha(l.compressed), nil }
func (l *layer) DiffID() (v1.Hash, error) { return sha(l.packed), nil }
func (l *layer) Size() (int64, error)     { return int64(len(l.compressed)), nil }
func (l *layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.compressed)), nil
}
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.packed)), nil
}
func (l *layer) MediaType() (types.MediaType, error) { return l.mediaType, nil }

// Compressor compresses layers.
type Compressor struct{ command []string }

// NewCompressor unpacks the pinned compressor below dir. Its own libraries and
// interpreter run it, so that those of this machine do not matter.
func NewCompressor(dir string, tree rootfs.Tree, arch string) (*Compressor, error) {
	for name, entry := range tree {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
		var err error
		if entry.Link != "" {
			err = os.Symlink(entry.Link, file)
		} else {
			err = os.WriteFile(file, entry.Content, os.FileMode(entry.Mode))
		}
		if err != nil {
			return nil, fmt.Errorf("unpack the compressor: %w", err)
		}
	}
	libraries := filepath.Join(dir, "usr/lib", spec.Triplet(arch))
	interpreters, err := filepath.Glob(filepath.Join(libraries, "ld-linux-*.so.*"))
	if err != nil || len(interpreters) != 1 {
		return nil, fmt.Errorf("the compressor has %d interpreters in %s, expected one", len(interpreters), libraries)
	}
	return &Compressor{command: []string{interpreters[0], "--library-path", libraries, filepath.Join(dir, "usr/bin/zstd")}}, nil
}

// layer packs and compresses.
func (c *Compressor) layer(ctx context.Context, packed []byte, compression spec.Compression) (*layer, error) {
	var compressed bytes.Buffer
	if compression == spec.Gzip {
		w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(packed); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		return &layer{packed: packed, compressed: compressed.Bytes(), mediaType: types.OCILayer}, nil
	}
	if c == nil {
		return nil, fmt.Errorf("there is no compressor for zstd")
	}
	var messages bytes.Buffer
	// One thread: with more the output would depend on the number of cores.
	args := append(c.command[1:len(c.command):len(c.command)], "--ultra", "-22", "--single-thread", "--quiet", "--stdout", fmt.Sprintf("--stream-size=%d", len(packed)))
	cmd := exec.CommandContext(ctx, c.command[0], args...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(packed), &compressed, &messages
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compress with zstd: %w: %s", err, bytes.TrimSpace(messages.Bytes()))
	}
	return &layer{packed: packed, compressed: compressed.Bytes(), mediaType: types.OCILayerZStd}, nil
}
