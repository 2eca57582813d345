package gerrit

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	prowv1 "prow/api/prowjobs/v1"
)

// defaultReportLabel is what is voted on for a job that names no label.
const defaultReportLabel = "Code-Review"

// Normalize is the address of an instance: with its scheme, which is https unless
// it is http, and without slashes around.
func Normalize(instance string) string {
	scheme, rest := "https://", strings.TrimPrefix(instance, "https://")
	if plain, ok := strings.CutPrefix(instance, "http://"); ok {
		scheme, rest = "http://", plain
	}
	return scheme + strings.Trim(rest, "/")
}

// CloneURI is where a project is cloned from.
func CloneURI(instance, project string) string {
	return Normalize(strings.Trim(instance, "/") + "/" + strings.Trim(project, "/"))
}

// CodeHost is where the files of an instance are shown to people: where reviews
// have a host of their own, such as foo-review.googlesource.com, it is the one
// without the suffix.
func CodeHost(instance string) string {
	first, rest, found := strings.Cut(instance, ".")
	if short, ok := strings.CutSuffix(first, "-review"); ok && found {
		return short + "." + rest
	}
	return instance
}

// Refs are what a job tests for changes of one branch on its base. The changes need
// their current revision and its commit.
func Refs(instance, project, branch, baseSHA string, changes ...*Change) prowv1.Refs {
	code := CodeHost(instance) + "/" + project
	refs := prowv1.Refs{
		Org: instance, Repo: project, BaseRef: branch, BaseSHA: baseSHA,
		CloneURI: CloneURI(instance, project), RepoLink: code, BaseLink: code + "/+/" + baseSHA,
	}
	for _, c := range changes {
		current := c.Current()
		refs.Pulls = append(refs.Pulls, prowv1.Pull{
			Number: c.Number, Author: current.Commit.Author.Name, SHA: c.CurrentRevision, Ref: current.Ref,
			Link:       fmt.Sprintf("%s/c/%s/+/%d", instance, project, c.Number),
			CommitLink: code + "/+/" + c.CurrentRevision,
			AuthorLink: instance + "/q/" + current.Commit.Author.Email,
		})
	}
	return refs
}

// Marks are the labels and annotations of a job for changes: those of the job, and
// by which its results find their way to the change. A job for several changes
// reports to none.
func Marks(labels, annotations map[string]string, instance string, changes ...*Change) (outLabels, outAnnotations map[string]string) {
	outLabels, outAnnotations = map[string]string{}, map[string]string{}
	maps.Copy(outLabels, labels)
	maps.Copy(outAnnotations, annotations)
	outAnnotations[prowv1.GerritInstanceAnnotation] = instance
	if len(changes) != 1 {
		return outLabels, outAnnotations
	}
	change := changes[0]
	outLabels[prowv1.GerritRevisionLabel] = change.CurrentRevision
	outLabels[prowv1.GerritPatchsetLabel] = strconv.Itoa(change.Current().Number)
	if outLabels[prowv1.GerritReportLabel] == "" {
		outLabels[prowv1.GerritReportLabel] = defaultReportLabel
	}
	outAnnotations[prowv1.GerritIDAnnotation] = change.ID
	return outLabels, outAnnotations
}
