// Package providers puts the providers of storage together that a program offers.
package providers

import (
	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/storage/gcs"
	"prow/internal/storage/memory"
	"prow/internal/storage/s3"
)

// Credentials are the files with which a program presents itself. Without a file
// the identity of the machine or pod counts.
type Credentials struct {
	// GCSFile is JSON of Google: a service account, a user or an external account.
	GCSFile string
	// S3File is the JSON of s3.Config.
	S3File string
}

// Flags is a set of flags, of whichever library.
type Flags interface {
	StringVar(p *string, name, value, usage string)
}

// Bind registers the flags.
func (c *Credentials) Bind(fs Flags) {
	fs.StringVar(&c.GCSFile, "gcs-credentials-file", "", "File with credentials for GCS. Empty: those of the machine.")
	fs.StringVar(&c.S3File, "s3-credentials-file", "", "File with credentials for S3. Empty: those of the machine.")
}

// New returns an opener for gs, s3, file and mem. Files are read on first use.
func New(c Credentials) *storage.Opener {
	return storage.NewOpener(map[string]storage.Provider{
		"gs":   gcs.Provider(gcs.Options{CredentialsFile: c.GCSFile}),
		"s3":   s3.Provider(s3.Options{CredentialsFile: c.S3File}),
		"file": filestore.Provider,
		"mem":  memory.Provider(),
	})
}
