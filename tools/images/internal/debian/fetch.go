// Package debian takes files out of Debian packages: it looks up versions in
// signed indexes, fetches packages by checksum and reads what is in them,
// without any of Debian's programs but gpgv.
package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"prow/tools/images/internal/spec"
)

// maxFetch bounds what is read of one address, in bytes.
const maxFetch = 128 << 20

// Fetch returns the file of a package, from the directory of the cache or from the
// first address that has it. What has another checksum is refused.
func Fetch(ctx context.Context, client *http.Client, cache string, p spec.Package) (string, error) {
	file := filepath.Join(cache, p.SHA256+".deb")
	if content, err := os.ReadFile(file); err == nil && checksum(content) == p.SHA256 {
		return file, nil
	}
	var errs []error
	for _, url := range p.URLs {
		content, err := get(ctx, client, url)
		if err == nil && checksum(content) != p.SHA256 {
			err = fmt.Errorf("%s has the checksum %s, expected %s", url, checksum(content), p.SHA256)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return file, writeFile(file, content)
	}
	return "", fmt.Errorf("fetch the package %s %s (%s): %w", p.Name, p.Version, p.Architecture, errors.Join(errs...))
}

// writeFile writes a file so that it is there whole or not at all.
func writeFile(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "part-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxFetch+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	if len(content) > maxFetch {
		return nil, fmt.Errorf("%s has more than %d bytes", url, maxFetch)
	}
	return content, nil
}
