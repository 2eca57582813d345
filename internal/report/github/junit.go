package github

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"prow/api/artifacts"
	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/github"
	"prow/internal/storage"
)

// Failure is a test that failed.
type Failure struct {
	// Test is its name.
	Test string
	// File and Line are where, as the test says it; File is empty where it does not.
	File string
	Line int
	// Message is what it said.
	Message string
}

const (
	// maxReportFiles and maxReportBytes bound what is read of one run.
	maxReportFiles = 20
	maxReportBytes = 4 << 20
	// maxListing bounds the artifacts that are looked through for reports.
	maxListing = 2000
	// maxFailures bounds the failures that are kept.
	maxFailures = 500
)

// junitName matches the files that hold test results.
var junitName = regexp.MustCompile(`(?i)^junit.*\.xml$`)

// ReadFailures reads the failed tests from the JUnit files among the artifacts of
// a run, whose directory in the bucket is dir. Files that are no JUnit are passed
// over, the first trouble with one is returned beside what was found.
func ReadFailures(ctx context.Context, bucket storage.Bucket, dir string) ([]Failure, error) {
	var out []Failure
	var trouble []error
	opts := storage.ListOptions{Prefix: path.Join(dir, artifacts.ArtifactsDir) + "/"}
	for files, seen := 0, 0; files < maxReportFiles && seen < maxListing; {
		page, err := bucket.List(ctx, opts)
		if err != nil {
			return out, fmt.Errorf("list artifacts: %w", err)
		}
		for _, item := range page.Items {
			if !junitName.MatchString(path.Base(item.Key)) || files == maxReportFiles {
				continue
			}
			files++
			content, err := storage.ReadAll(ctx, bucket, item.Key, maxReportBytes)
			if err != nil {
				trouble = append(trouble, err)
				continue
			}
			failures, err := parseJUnit(content, maxFailures-len(out))
			out = append(out, failures...)
			if err != nil {
				trouble = append(trouble, fmt.Errorf("%s: %w", item.Key, err))
			}
		}
		if seen += len(page.Items); page.Next == "" {
			break
		}
		opts.Token = page.Next
	}
	if len(trouble) > 0 {
		return out, trouble[0]
	}
	return out, nil
}

// junitCase is a test case; the parser finds it however deep suites are nested.
type junitCase struct {
	Name      string       `xml:"name,attr"`
	ClassName string       `xml:"classname,attr"`
	File      string       `xml:"file,attr"`
	Line      string       `xml:"line,attr"`
	Failures  []junitFault `xml:"failure"`
	Errors    []junitFault `xml:"error"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// parseJUnit returns at most limit failed tests, in the order of the file.
func parseJUnit(content []byte, limit int) (out []Failure, err error) {
	d := xml.NewDecoder(bytes.NewReader(content))
	d.Strict = false
	// Text in another encoding still has readable names.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for len(out) < limit {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("read JUnit: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		var c junitCase
		if err := d.DecodeElement(&c, &start); err != nil {
			return out, fmt.Errorf("read JUnit: %w", err)
		}
		if faults := append(c.Failures, c.Errors...); len(faults) > 0 {
			out = append(out, failureOf(c, faults[0]))
		}
	}
	return out, nil
}

// place finds file:line in the text of a failure.
var place = regexp.MustCompile(`(?:^|[\s("'])((?:/|\./)?[A-Za-z0-9_@+-][\w@+./-]*\.[A-Za-z]\w{0,9}):(\d{1,7})\b`)

func failureOf(c junitCase, fault junitFault) Failure {
	f := Failure{Test: c.Name, File: c.File}
	if c.ClassName != "" && c.ClassName != c.Name {
		f.Test = c.ClassName + " " + c.Name
	}
	text := strings.TrimSpace(fault.Message + "\n" + fault.Text)
	f.Message = cut(strings.ToValidUTF8(text, "\uFFFD"), maxMessage)
	f.Test = cut(strings.ToValidUTF8(f.Test, "\uFFFD"), 500)
	if n, err := strconv.Atoi(c.Line); err == nil && f.File != "" {
		f.Line = n
	} else if m := place.FindStringSubmatch(text); m != nil && (f.File == "" || path.Base(f.File) == path.Base(m[1])) {
		if f.File == "" {
			f.File = m[1]
		}
		f.Line, _ = strconv.Atoi(m[2])
	}
	return f
}

// annotationsFor are the failures that can be shown at a line of the repository.
func annotationsFor(refs *prowv1.Refs, failures []Failure) []forge.CheckAnnotation {
	var out []forge.CheckAnnotation
	for _, f := range failures {
		file := pathInRepo(refs, f.File)
		if file == "" || len(out) == maxAnnotations {
			continue
		}
		line := max(f.Line, 1)
		message := f.Message
		if message == "" {
			message = "failed"
		}
		out = append(out, forge.CheckAnnotation{Path: file, StartLine: line, EndLine: line, Level: "failure", Title: cut(cell(f.Test), 255), Message: message})
	}
	return out
}

// pathInRepo is the path of a file below the root of the repository, "" where
// the file lies elsewhere.
func pathInRepo(refs *prowv1.Refs, file string) string {
	if path.IsAbs(file) {
		_, inside, found := strings.Cut(file, refs.ClonePath("")+"/")
		if !found {
			return ""
		}
		file = inside
	}
	file = path.Clean(file)
	if file == "." || file == ".." || strings.HasPrefix(file, "../") || path.IsAbs(file) || !utf8.ValidString(file) || len(file) > 1024 {
		return ""
	}
	return file
}

// cut shortens text to at most limit bytes, between characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
