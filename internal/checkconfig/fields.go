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

// load loads the configuration. If strictly, the decoder does not look away
// first, and found is what it saw; most configurations are loaded once then.
func load(ctx context.Context, opts config.Options, strictly bool) (c *config.Config, found *strictLoad, err error) {
	if strictly {
		opts.Strict = true
		c, err = config.Load(ctx, opts)
		if err == nil {
			return c, &strictLoad{warnings: c.Warnings()}, nil
		}
		found = &strictLoad{}
		var errs config.Errors
		if errors.As(err, &errs) {
			found.errs = errs
		}
		opts.Strict = false
	}
	c, err = config.Load(ctx, opts)
	return c, found, err
}

func unknownFieldsOfMain(in *input) []config.Problem {
	return in.strictProblems(yamldec.UnknownField, false)
}

func unknownFieldsOfAll(in *input) []config.Problem {
	return append(ofKind(yamldec.UnknownField, in.strict.errs), in.strictProblems(yamldec.UnknownField, true)...)
}

func findDuplicateKeys(in *input) []config.Problem {
	if len(in.strict.errs) > 0 {
		in.report.note("%s did not look at job files, because some have unknown fields; --warnings=%s lists them", duplicateKeys, unknownFieldsAll)
	}
	return append(ofKind(yamldec.DuplicateKey, in.strict.warnings), in.strictProblems(yamldec.DuplicateKey, true)...)
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
