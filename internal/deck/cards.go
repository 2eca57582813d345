package deck

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/spyglass"
	"prow/internal/storage"
)

const (
	// flatFiles is up to how many files the page of a run lists each.
	flatFiles = 200
	// maxNamed bounds the names in the address of a frame that has to name files, in bytes.
	maxNamed = 4096
)

// spyglassView is what lenses and the configuration add to the page of a run.
type spyglassView struct {
	// Announcement is HTML of the operator.
	Announcement template.HTML
	Lenses       []lensView
	// LogLens is the index of the lens whose part the log of the page is; -1 is none.
	LogLens int
	// Dirs are the directories of a run with many files; Files is how many files there are.
	Dirs  []dirView
	Files int
	// Links lead to places elsewhere that the configuration or the job names.
	Links []spyglass.Link
	// logSettings are those of that lens.
	logSettings buildLogConfig
}

type lensView struct {
	Index         int
	Name, Title   string
	HideTitle     bool
	Link, Version string
}

type dirView struct {
	Name, Link string
	Files      int
	Size       int64
}

// fillSpyglass adds the lenses of a run, the tree of its files and its links.
func (s *server) fillSpyglass(ctx context.Context, view *runView, found run, all *fileList) error {
	table := s.lensTable()
	view.LogLens = -1
	for _, card := range spyglass.Match(table.entries, all.names) {
		if card.Lens != nil && card.Name == metadataLens {
			continue // the facts on top of the page
		}
		asked := spyglass.Request{Index: card.Index, Source: found.source()}
		files := card.Artifacts
		if card.Lens != nil && card.Name == buildLogLens {
			if view.LogLens < 0 {
				view.LogLens = card.Index
				view.logSettings = parseBuildLogConfig(card.Config)
			}
			// The logs of containers are on the page.
			files = slices.DeleteFunc(slices.Clone(files), func(name string) bool { return logName.MatchString(name) })
			if len(files) == 0 {
				continue
			}
			asked.Artifacts = fitting(files)
		}
		view.Lenses = append(view.Lenses, lensView{
			Index: card.Index, Name: card.Name, Title: card.Title, HideTitle: card.HideTitle, Version: all.versionOf(files),
			Link: lensPath + url.PathEscape(card.Name) + "/iframe?" + url.Values{"req": {asked.String()}}.Encode(),
		})
	}
	s.fillTree(view, found, all)
	s.fillLinks(ctx, view, found)
	if table.announcement == nil {
		return nil
	}
	var out strings.Builder
	path := ""
	if found.place != nil {
		path = strings.Trim(found.place.bucket, "/") + "/" + found.place.key
	}
	if err := table.announcement.Execute(&out, announced{path}); err != nil {
		return err
	}
	view.Announcement = template.HTML(out.String()) //nolint:gosec // of the operator, and escaped by the template
	return nil
}

// fitting are the first of some names, as many as an address can hold.
func fitting(names []string) []string {
	size := 0
	for i, name := range names {
		if size += len(name); i > 0 && size > maxNamed {
			return names[:i]
		}
	}
	return names
}

// fillTree lists the files: each, or those on top and the directories if there are many.
func (s *server) fillTree(view *runView, found run, all *fileList) {
	view.More, view.Files = all.more, len(all.items)
	if found.place == nil {
		return
	}
	root := "artifacts/" + escapePath(found.place.path()) + "/"
	dirs := map[string]*dirView{}
	for _, item := range all.items {
		top, _, nested := strings.Cut(item.Key, "/")
		if len(all.items) > flatFiles && nested {
			if dirs[top] == nil {
				dirs[top] = &dirView{Name: top, Link: root + url.PathEscape(top) + "/"}
				view.Dirs = append(view.Dirs, dirView{Name: top})
			}
			dirs[top].Files++
			dirs[top].Size += item.Size
			continue
		}
		view.Artifacts = append(view.Artifacts, artifactView{item.Key, root + escapePath(item.Key), item.Size, item.ModTime})
	}
	for i := range view.Dirs {
		view.Dirs[i] = *dirs[view.Dirs[i].Name]
	}
	if len(view.Artifacts) > flatFiles {
		view.Dirs = append(view.Dirs, dirView{Name: "all files", Link: root, Files: len(all.items)})
		view.Artifacts = view.Artifacts[:flatFiles]
	}
}

// fillLinks adds what leads elsewhere.
func (s *server) fillLinks(ctx context.Context, view *runView, found run) {
	sg := &s.config.Get().Deck.Spyglass
	if found.place != nil {
		org, repo := splitRepo(view.Repo)
		if repo == "" {
			org, repo = s.repoOf(ctx, found)
		}
		bucket := strings.Trim(found.place.bucket, "/")
		if link := spyglass.BrowserLink(sg.BrowserPrefix(org, repo, bucket), bucket, found.place.key); link != "" {
			view.Links = append(view.Links, spyglass.Link{Name: "Artifacts", URL: link, Description: "the directory of this run in storage"})
		}
	}
	if link := s.testGrid.link(sg.TestGridRoot, found.job); link != "" {
		view.Links = append(view.Links, spyglass.Link{Name: "TestGrid", URL: link})
	}
	if found.place == nil || !view.hasFile(artifacts.StartedFile) {
		return
	}
	bucket, err := s.open(ctx, *found.place)
	if err != nil {
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	started, err := storage.ReadAll(ctx, bucket, found.place.key+"/"+artifacts.StartedFile, spyglass.MaxStarted)
	if err == nil {
		var extra []spyglass.Link
		extra, err = spyglass.ExtraLinks(started)
		view.Links = append(view.Links, extra...)
	}
	if err != nil {
		s.log.WarnContext(ctx, "further links of a run cannot be read", "place", found.place.path(), "error", err)
	}
}

func (v *runView) hasFile(name string) bool {
	return slices.ContainsFunc(v.Artifacts, func(a artifactView) bool { return a.Name == name })
}

// pullHistory is the page of a pull request's builds, as the configuration wants it.
func (s *server) pullHistory(refs *v1.Refs) (string, error) {
	table := s.lensTable()
	if s.config.Get().Deck.Spyglass.HidePRHistLink {
		return "", nil
	}
	if table.pullLink == nil || refs == nil || len(refs.Pulls) == 0 {
		return prHistoryLink(refs), nil
	}
	return spyglass.PullLink(table.pullLink, refs.Org, refs.Repo, refs.Pulls[0].Number)
}

// directoryView is a page of the files of a run.
type directoryView struct {
	Job, Build, Dir, Up, Run string
	Dirs                     []dirView
	Artifacts                []artifactView
	// Next is the address of the next page.
	Next string
}

// directoryFiles is how many entries a page of a directory has.
const directoryFiles = 500

// directory lists one level of the files of a run.
func (s *server) directory(w http.ResponseWriter, r *http.Request, found run, dir string) {
	ctx, cancel := context.WithTimeout(r.Context(), storageTimeout)
	defer cancel()
	bucket, err := s.open(ctx, *found.place)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	prefix := found.place.key + "/"
	if dir != "" {
		prefix += dir + "/"
	}
	page, err := bucket.List(ctx, storage.ListOptions{Prefix: prefix, Delimiter: "/", Token: r.URL.Query().Get("page"), Limit: directoryFiles})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if len(page.Items) == 0 {
		s.notFound(w, r)
		return
	}
	base := "artifacts/" + escapePath(found.place.path()) + "/"
	view := directoryView{Job: found.job, Build: found.build, Dir: dir, Run: "view/" + escapePath(found.place.path())}
	here := base
	if dir != "" {
		here += escapePath(dir) + "/"
		view.Up = base
		if i := strings.LastIndexByte(dir, '/'); i >= 0 {
			view.Up += escapePath(dir[:i]) + "/"
		}
	}
	for _, item := range page.Items {
		name := strings.TrimPrefix(item.Key, prefix)
		switch {
		case item.IsDir:
			name = strings.TrimSuffix(name, "/")
			view.Dirs = append(view.Dirs, dirView{Name: name, Link: here + url.PathEscape(name) + "/"})
		case name != "":
			view.Artifacts = append(view.Artifacts, artifactView{name, here + escapePath(name), item.Size, item.ModTime})
		}
	}
	if page.Next != "" {
		view.Next = here + "?" + url.Values{"page": {page.Next}}.Encode()
	}
	s.render(w, r, "directory", found.job+" #"+found.build+" "+strconv.Quote(dir+"/"), view)
}
