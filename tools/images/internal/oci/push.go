package oci

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push writes images, what is said about them, and then the tags, to
// registry/path/<image>. It returns the names by digest of what is there, also
// where a later one failed. Credentials are those of docker's or podman's login.
func Push(ctx context.Context, registry string, insecure bool, tags []string, built []*Built) ([]string, error) {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	var how []name.Option
	if insecure {
		how = append(how, name.Insecure)
	}
	var pushed []string
	for _, group := range ByName(built) {
		repository, err := name.NewRepository(registry+"/"+group[0].Spec.Name, how...)
		if err != nil {
			return pushed, fmt.Errorf("push %s: %w", group[0].Spec.Name, err)
		}
		index := Index(group)
		digest, err := index.Digest()
		if err != nil {
			return pushed, err
		}
		fail := func(err error) ([]string, error) { return pushed, fmt.Errorf("push to %s: %w", repository, err) }
		if err := remote.WriteIndex(repository.Digest(digest.String()), index, options...); err != nil {
			return fail(err)
		}
		for _, b := range group {
			for _, a := range b.Artifacts {
				said, err := a.Digest()
				if err != nil {
					return pushed, err
				}
				if err := remote.Write(repository.Digest(said.String()), a, options...); err != nil {
					return fail(err)
				}
			}
		}
		for _, tag := range tags {
			if err := remote.Tag(repository.Tag(tag), index, options...); err != nil {
				return fail(err)
			}
		}
		pushed = append(pushed, repository.Digest(digest.String()).String())
	}
	return pushed, nil
}
