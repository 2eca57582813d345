package checkconfig

import (
	"context"
	"errors"

	"prow/internal/config"
	"prow/internal/config/yamldec"
	"prow/internal/plugins/pluginconfig"
)

// mainFile and shardFile are what files may hold. Jobs in a supplemental file
// are ignored, so there they are unknown.
type (
	mainFile  = config.Config
	shardFile struct {
		config.ProwConfig
		ProwIgnored any `json:"prow_ignored,omitempty"`
	}
)

// decodeStrictly returns what the decoder has to say about a file.
func decodeStrictly(f file, plugins bool) []yamldec.Problem {
	if plugins {
		_, problems := pluginconfig.Parse(f.data, true)
		return problems
	}
	var d yamldec.Decoder
	if f.dir != "" {
		return d.Decode(f.data, &shardFile{}, yamldec.Options{Strict: true})
	}
	return d.Decode(f.data, &mainFile{}, yamldec.Options{Strict: true})
}

// strictProblems are problems of one kind in the main and plugin files, and in
// their supplemental files as well if shards is set.
func (in *input) strictProblems(kind yamldec.Kind, shards bool) []config.Problem {
	var out []config.Problem
	for _, part := range []struct {
		files   files
		plugins bool
	}{{in.files, false}, {in.pluginFiles, true}} {
		for _, f := range part.files {
			if f.dir != "" && !shards {
				continue
			}
			for _, p := range decodeStrictly(f, part.plugins) {
				if p.Kind == kind {
					out = append(out, config.Problem{File: f.path, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Kind: kind})
				}
			}
		}
	}
	return out
}

// strictLoad is what a strict load of the configuration found.
type strictLoad struct{ errs, warnings []config.Problem }

// loadStrictly loads the configuration once more, with its job files, as the
// decoder sees them if it does not look away.
func (in *input) loadStrictly(ctx context.Context) (*strictLoad, error) {
	if in.strict != nil {
		return in.strict, nil
	}
	opts := in.options.Config
	opts.Strict = true
	found := &strictLoad{}
	c, err := config.Load(ctx, opts)
	var errs config.Errors
	switch {
	case err == nil:
		found.warnings = c.Warnings()
	case errors.As(err, &errs):
		found.errs = errs
	default:
		return nil, err
	}
	in.strict = found
	return found, nil
}

func unknownFieldsOfMain(in *input) []config.Problem {
	return in.strictProblems(yamldec.UnknownField, false)
}

func unknownFieldsOfAll(ctx context.Context, in *input) ([]config.Problem, error) {
	loaded, err := in.loadStrictly(ctx)
	if err != nil {
		return nil, err
	}
	return append(ofKind(yamldec.UnknownField, loaded.errs), in.strictProblems(yamldec.UnknownField, true)...), nil
}

func duplicateKeys(ctx context.Context, in *input) ([]config.Problem, error) {
	loaded, err := in.loadStrictly(ctx)
	if err != nil {
		return nil, err
	}
	if len(loaded.errs) > 0 {
		in.report.note("duplicate-keys did not look at job files, because some have unknown fields; --warnings=%s lists them", unknownFieldsAll)
	}
	return append(ofKind(yamldec.DuplicateKey, loaded.warnings), in.strictProblems(yamldec.DuplicateKey, true)...), nil
}

func ofKind(kind yamldec.Kind, list []config.Problem) []config.Problem {
	var out []config.Problem
	for _, p := range list {
		if p.Kind == kind {
			out = append(out, config.Problem{File: p.File, Line: p.Line, Column: p.Column, Job: p.Job, Field: p.Field, Message: p.Message, Kind: kind})
		}
	}
	return out
}
