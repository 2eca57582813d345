package spyglass

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Source is what an address of a run says, before anybody looks.
type Source struct {
	// Job and Build name a run of the cluster; otherwise Path is the place of its files,
	// "<provider>/<bucket>/<key>".
	Job, Build string
	Path       string
}

// ofCluster begins sources that name runs of the cluster.
const ofCluster = "prowjob/"

// ParseSource reads the address of a run: "prowjob/<job>/<build>", or
// "<provider>/<bucket>/<path>", of which the last two parts are the job and the build.
// The older provider "gcs" is "gs".
func ParseSource(text string) (Source, error) {
	text = strings.TrimSuffix(text, "/")
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\r\n") {
		return Source{}, errors.New("the address of the run has characters that no name has")
	}
	if rest, ok := strings.CutPrefix(text, ofCluster); ok {
		job, build, _ := strings.Cut(rest, "/")
		if job == "" || build == "" || strings.Contains(build, "/") {
			return Source{}, fmt.Errorf("%q does not name a run: expected prowjob/<job>/<build>", text)
		}
		return Source{Job: job, Build: build}, nil
	}
	provider, rest, _ := strings.Cut(text, "/")
	if provider == "" || strings.Count(rest, "/") < 2 {
		return Source{}, fmt.Errorf("%q does not name a run: expected <provider>/<bucket>/<path>/<job>/<build>", text)
	}
	if provider == "gcs" {
		provider = "gs"
	}
	return Source{Path: provider + "/" + rest}, nil
}

// MaxAlias bounds an object that leads to a run, in bytes.
const MaxAlias = 4095

// AliasKey is the object that may lead from a key to the directory of a run.
func AliasKey(key string) string { return strings.TrimSuffix(key, ".txt") + ".txt" }

// ParseAlias reads an object that leads to the directory of a run, found with this
// provider. It may hold anything: where it leads has to be checked as if it were asked
// for.
func ParseAlias(provider, content string) (path string, err error) {
	if len(content) > MaxAlias {
		return "", fmt.Errorf("what leads to the run is longer than %d bytes", MaxAlias)
	}
	content = strings.TrimSpace(content)
	u, err := url.Parse(content)
	switch {
	case err != nil || u.Scheme == "" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("what leads to the run is not the URL of a directory")
	case provider == "file" && (u.Scheme != "file" || u.Host != ""):
		return "", errors.New("what leads to the run leads out of the directory of all runs")
	case provider != "file" && u.Host == "":
		return "", errors.New("what leads to the run names no bucket")
	}
	out := provider + "/" + u.Host + "/" + strings.Trim(u.Path, "/")
	if provider == "file" {
		out = provider + "/" + strings.Trim(u.Path, "/")
	}
	_, err = ParseSource(out)
	return out, err
}
