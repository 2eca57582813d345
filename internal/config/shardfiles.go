package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config/yamldec"
)

// shardFile is a parsed shard of the main configuration. Its content is shared
// by the snapshots of all loads and never changed.
type shardFile struct {
	hash           contentHash
	config         ProwConfig
	errs, warnings []Problem
}

// readShards merges the shards into the configuration. Those that did not
// change since the last load are not parsed again.
func (l *load) readShards() {
	last := l.shards
	l.shards = map[string]*shardFile{}
	for _, dir := range l.opts.SupplementalDirs {
		paths, err := shardPaths(dir, l.opts.SupplementalSuffix)
		if err != nil {
			l.errs.add(Problem{File: dir, Message: fmt.Sprintf("the directory of supplemental files cannot be read: %v", pathError(err))})
			continue
		}
		for _, path := range paths {
			file, err := readFile(path)
			if err != nil {
				l.errs.add(Problem{File: path, Message: fmt.Sprintf("the supplemental file cannot be read: %v", pathError(err))})
				continue
			}
			shard := last[path]
			if shard == nil || shard.hash != file.hash {
				shard = parseShard(&l.decoder, path, file)
			}
			l.shards[path], l.hashes[path] = shard, file.hash
			l.errs.add(shard.errs...)
			l.warnings.add(shard.warnings...)
			if len(shard.errs) == 0 {
				l.config.mergeShard(&shard.config, l.errs.inFile(path))
			}
		}
	}
}

// jobKeys are the keys of jobs at the top of the main file and of job files.
var jobKeys = []string{"presets", "presubmits", "postsubmits", "periodics", "decorate_all_jobs"}

func parseShard(decoder *yamldec.Decoder, path string, file *content) *shardFile {
	out := &shardFile{hash: file.hash}
	out.errs, out.warnings = fromDecoder(path, decoder.Decode(file.data, &out.config, yamldec.Options{QuotedStrings: true}))
	for i := range out.config.Tide.Queries {
		out.config.Tide.Queries[i].source.file = path
	}
	if len(out.errs) > 0 {
		return out
	}
	for _, field := range jobKeys {
		if yamldec.HasKey(file.data, field) {
			out.warnings = append(out.warnings, Problem{File: path, Field: field, Message: "has no effect in a supplemental file; jobs belong in job files"})
		}
	}
	locate(out.warnings, func(string) []byte { return file.data })
	return out
}

// ReadShard reads one shard of the main configuration as it is written: neither
// merged nor defaulted. Mistakes of its format come as Errors.
func ReadShard(path string) (*ProwConfig, error) {
	file, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the supplemental file %s: %w", path, pathError(err))
	}
	var ps problems
	shard := parseShard(&yamldec.Decoder{}, path, file)
	if ps.add(shard.errs...); len(ps.list) > 0 {
		return nil, ps.sorted(func(string) []byte { return file.data })
	}
	return &shard.config, nil
}

// ShardScope tells what a shard speaks about.
type ShardScope struct {
	// Global is set if the shard says something that is not about single orgs
	// or repositories.
	Global bool
	// Orgs are the orgs it speaks about as a whole.
	Orgs sets.Set[string]
	// Repos are the repositories it speaks about, as "org/repo"; keys of
	// tide.merge_method may carry a branch, "org/repo@branch".
	Repos sets.Set[string]
}

// ShardScope tells what a shard, as ReadShard returns it, speaks about.
func (c *ProwConfig) ShardScope() ShardScope {
	out := ShardScope{Orgs: sets.New[string](), Repos: sets.New[string]()}
	bp := &c.BranchProtection
	out.Global = bp.ProtectTestedRepos != nil || bp.AllowDisabledPolicies != nil || bp.AllowDisabledJobPolicies != nil ||
		bp.ProtectReposWithOptionalJobs != nil || bp.Policy.defined() || len(c.unshardable()) > 0
	for org, policy := range bp.Orgs {
		if policy.Policy.defined() {
			out.Orgs.Insert(org)
		}
		for repo := range policy.Repos {
			out.Repos.Insert(org + "/" + repo)
		}
	}
	key := func(key string) {
		switch {
		case key == "*":
			out.Global = true
		case strings.Contains(key, "/"):
			out.Repos.Insert(key)
		default:
			out.Orgs.Insert(key)
		}
	}
	for k := range c.SlackReporterConfigs {
		key(k)
	}
	for k := range c.Tide.MergeType {
		key(k)
	}
	for i := range c.Tide.Queries {
		out.Orgs.Insert(c.Tide.Queries[i].Orgs...)
		out.Repos.Insert(c.Tide.Queries[i].Repos...)
	}
	return out
}

// unshardable returns the fields a shard sets although it must not, with their
// values.
func (c ProwConfig) unshardable() []string {
	c.BranchProtection, c.SlackReporterConfigs = BranchProtection{}, nil
	c.Tide.MergeType, c.Tide.Queries = nil, nil
	var out []string
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		text, err := json.Marshal(v.Field(i).Interface())
		if err != nil {
			text = []byte(err.Error())
		}
		if len(text) > 80 {
			text = append(text[:77:77], "..."...)
		}
		out = append(out, name+": "+string(text))
	}
	slices.Sort(out)
	return out
}

// shardKeys merges a map by its keys, each of which may stand in one file only.
func shardKeys[T any](into *map[string]T, from map[string]T, field string, report fieldReporter) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if _, dup := (*into)[key]; dup {
			report(field+"."+key, "%s is set in another file as well", key)
			continue
		}
		if *into == nil {
			*into = map[string]T{}
		}
		(*into)[key] = from[key]
	}
}
