package options

import (
	"flag"
	"fmt"
	"net/url"
	"strings"

	v1 "prow/api/prowjobs/v1"
)

// Bind adds the flags of the upload options, with their defaults.
func (o *Upload) Bind(fs *flag.FlagSet) {
	if o.GCSConfiguration == nil {
		o.GCSConfiguration = &v1.GCSConfiguration{}
	}
	fs.StringVar(&o.SubDir, "sub-dir", "", "directory below that of the run")
	fs.StringVar(&o.PathStrategy, "path-strategy", v1.PathStrategyExplicit, "legacy, single or explicit")
	fs.StringVar(&o.DefaultOrg, "default-org", "", "org that legacy and single leave out")
	fs.StringVar(&o.DefaultRepo, "default-repo", "", "repository that legacy and single leave out")
	fs.StringVar(&o.LocalOutputDir, "local-output-dir", "", "copy to this directory instead of storing")
	fs.StringVar(&o.GCSCredentialsFile, "gcs-credentials-file", "", "file with credentials for GCS")
	fs.StringVar(&o.S3CredentialsFile, "s3-credentials-file", "", "file with credentials for S3")
	fs.BoolVar(&o.DryRun, "dry-run", true, "only log what would be stored")
	fs.Func("gcs-path", "bucket and prefix, as gs://bucket/prefix", o.setPath)
	fs.Func("media-type", "extension:type, several separated by commas, repeatable", o.addMediaTypes)
}

func (o *Upload) setPath(text string) error {
	if strings.HasPrefix(text, "file://") {
		o.Bucket = text // a directory is the bucket as a whole
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	if u.Scheme == "" || u.Host == "" {
		return fmt.Errorf("%q has no bucket; it should be like gs://bucket/prefix", text)
	}
	o.Bucket, o.PathPrefix = u.Scheme+"://"+u.Host, strings.Trim(u.Path, "/")
	return nil
}

func (o *Upload) addMediaTypes(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		extension, mediaType, found := strings.Cut(pair, ":")
		if !found {
			return fmt.Errorf("%q has no colon between extension and type", pair)
		}
		if o.MediaTypes == nil {
			o.MediaTypes = map[string]string{}
		}
		o.MediaTypes[extension] = mediaType
	}
	return nil
}

// SetItems takes the positional arguments, which are the items.
func (o *Upload) SetItems(args []string) error {
	o.Items = args
	return nil
}
