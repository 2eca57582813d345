package local

import "net/http"

type pages struct{}

func (p *pages) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (f *Forge) newPages() (*pages, error)                    { return &pages{}, nil }
