package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
)

// roots are the types of the files that are described.
var roots = []reflect.Type{reflect.TypeFor[config.Config](), reflect.TypeFor[pluginconfig.Configuration]()}

// Files are the generated files of the repository with their content, by path.
// empty is what an empty main file means.
func Files(root string, empty *config.Config) (map[string][]byte, error) {
	source := NewSource(root)
	main, err := New(roots[0], source)
	if err != nil {
		return nil, fmt.Errorf("describing the main configuration: %w", err)
	}
	defaults, err := plain(empty)
	if err != nil {
		return nil, err
	}
	plugins, err := New(roots[1], source)
	if err != nil {
		return nil, fmt.Errorf("describing the plugin configuration: %w", err)
	}
	table, err := main.Table()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"docs/reference/config.md":        []byte(main.Markdown("The configuration file", mainIntro)),
		"docs/reference/config.yaml":      []byte(main.Sample(mainTitle, defaults)),
		"docs/reference/plugins.md":       []byte(plugins.Markdown("The plugin configuration file", pluginsIntro)),
		"docs/reference/plugins.yaml":     []byte(plugins.Sample(pluginsTitle, nil)),
		"internal/configtool/fields.json": table,
	}, nil
}

// Empty loads an empty main file: every default, and nothing else.
func Empty(ctx context.Context) (*config.Config, error) {
	dir, err := os.MkdirTemp("", "reference")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(opts.ConfigPath, nil, 0o600); err != nil {
		return nil, err
	}
	return config.Load(ctx, opts)
}

// plain is a configuration as it is written in a file.
func plain(c *config.Config) (map[string]any, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the defaults: %w", err)
	}
	var out map[string]any
	return out, json.Unmarshal(raw, &out)
}

// Table is the model as JSON: for each type the fields with what they mean.
func (m *Model) Table() ([]byte, error) {
	types := map[string][]*Field{}
	for i, t := range m.Types {
		name := t.Name
		if i == 0 {
			name = ""
		}
		types[name] = t.Fields
	}
	raw, err := json.MarshalIndent(types, "", " ")
	return append(raw, '\n'), err
}

const (
	mainTitle = "Every key of the main configuration with what it means. Where a key has a default, that is its value here. " +
		"Written by `make generate`; do not edit."
	pluginsTitle = "Every key of the plugin configuration with what it means. Written by `make generate`; do not edit."

	mainIntro = `Every key of the file behind ` + "`--config-path`" + `; [config.yaml](config.yaml) shows the same as a file. The keys ` + "`presubmits`, `postsubmits`, `periodics` and `presets`" + `
may also stand in files below ` + "`--job-config-path`" + `, and without the repository in a repository's own ` + "`.prow.yaml`" + `.
Durations are Go duration strings such as ` + "`90s` or `1h30m`" + `. ` + "`prow config explain KEY`" + ` tells the value a key has in your configuration and where it comes from.`

	pluginsIntro = `Every key of the file behind ` + "`--plugin-config`" + `; [plugins.yaml](plugins.yaml) shows the same as a file.`
)
