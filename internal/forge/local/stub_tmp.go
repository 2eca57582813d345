package local

import "net/http"

type graph struct{}

func newGraph() (*graph, error)                                      { return &graph{}, nil }
func (f *Forge) serveGraphQL(w http.ResponseWriter, r *http.Request) {}

type pages struct{}

func (p *pages) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (f *Forge) newPages() (*pages, error)                    { return &pages{}, nil }
