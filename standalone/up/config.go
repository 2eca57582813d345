package up

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// settings are what the templates of the configuration are filled with.
type settings struct {
	Org, Repo   string
	DeckURL     string
	ForgeURL    string
	Bucket      string
	ImagePrefix string
	// Branch is the default branch.
	Branch string
	// Owners tells that the repository has an OWNERS file, so that changes can be approved.
	Owners bool
}

// imagePrefix begins the names of the images that stand for the pod utilities.
const imagePrefix = "localhost/prow/"

// writeConfig writes the files of the configuration that are not there. What is
// there belongs to the user.
func writeConfig(dir string, s settings) error {
	return fs.WalkDir(templates, "templates", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		target := filepath.Join(dir, strings.TrimPrefix(path, "templates/"))
		if _, err := os.Stat(target); err == nil {
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("configuration: %w", err)
		}
		text, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(e.Name()).Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(string(text))
		if err != nil {
			return fmt.Errorf("configuration %s: %w", e.Name(), err)
		}
		var out bytes.Buffer
		if err := t.Execute(&out, s); err != nil {
			return fmt.Errorf("configuration %s: %w", e.Name(), err)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		return writeWhole(target, out.Bytes(), 0o644)
	})
}

// writeWhole writes a file so that a death in between leaves none or all of it.
func writeWhole(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
