// Package options holds the documents by which the pod builder configures the
// pod utilities: one JSON object for each, in an environment variable of its
// container. The order of the fields is the order in which they are written.
//
// The options of entrypoint are in package entry, which stays free of the
// Kubernetes types.
package options

import (
	"errors"
	"fmt"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/wrapper"
)

// The variables.
const (
	CloneEnv      = "CLONEREFS_OPTIONS"
	InitUploadEnv = "INITUPLOAD_OPTIONS"
	SidecarEnv    = "SIDECAR_OPTIONS"
	UploadEnv     = "GCSUPLOAD_OPTIONS"
)

// Defaults of who commits, and of where GitHub Apps get tokens.
const (
	DefaultGitUserName    = "ci-robot"
	DefaultGitUserEmail   = "ci-robot@k8s.io"
	DefaultGitHubEndpoint = "https://api.github.com"
)

// Clone configures clonerefs.
type Clone struct {
	// SrcRoot is the directory below whose "src" the repositories go.
	SrcRoot string `json:"src_root,omitempty"`
	// Log is where the records go.
	Log string `json:"log,omitempty"`
	// GitUserName and GitUserEmail are the identity of merge commits; empty leaves git's.
	GitUserName  string    `json:"git_user_name,omitempty"`
	GitUserEmail string    `json:"git_user_email,omitempty"`
	Refs         []v1.Refs `json:"refs"`
	// KeyFiles are files or directories with SSH keys.
	KeyFiles         []string `json:"key_files,omitempty"`
	OauthTokenFile   string   `json:"oauth_token_file,omitempty"`
	HostFingerprints []string `json:"host_fingerprints,omitempty"`
	// MaxParallelWorkers bounds how many refs are cloned at once; 0 is all of them.
	MaxParallelWorkers int `json:"max_parallel_workers,omitempty"`
	// Fail makes clonerefs exit non-zero when a clone failed.
	Fail                    bool     `json:"fail,omitempty"`
	CookiePath              string   `json:"cookie_path,omitempty"`
	GitHubAPIEndpoints      []string `json:"github_api_endpoints,omitempty"`
	GitHubAppID             string   `json:"github_app_id,omitempty"`
	GitHubAppPrivateKeyFile string   `json:"github_app_private_key_file,omitempty"`
}

// Upload configures what is stored and where.
type Upload struct {
	// Items are files or directories to store.
	Items []string `json:"items,omitempty"`
	// SubDir is appended to the directory of the run.
	SubDir string `json:"sub_dir,omitempty"`

	*v1.GCSConfiguration `json:",inline"`

	GCSCredentialsFile string `json:"gcs_credentials_file,omitempty"`
	S3CredentialsFile  string `json:"s3_credentials_file,omitempty"`
	// DryRun only logs what would be stored.
	DryRun bool `json:"dry_run"`
}

// Validate tells why nothing can be stored. Output to a local directory needs
// no further setting.
func (o *Upload) Validate() error {
	if o.GCSConfiguration == nil {
		return errors.New("the storage is not described")
	}
	if o.LocalOutputDir != "" {
		return nil
	}
	if !o.DryRun && o.Bucket == "" {
		return errors.New("no bucket is given, and this is no dry run")
	}
	return o.GCSConfiguration.Validate()
}

// InitUpload configures initupload.
type InitUpload struct {
	*Upload `json:",inline"`
	// Log is the file with the records of clonerefs; empty if nothing was cloned.
	Log string `json:"log,omitempty"`
}

// Censoring configures how secrets are removed from what is stored.
type Censoring struct {
	// SecretDirectories hold the secrets, one file each.
	SecretDirectories []string `json:"secret_directories,omitempty"`
	// Concurrency is how many files are censored at once. Default: 10.
	Concurrency *int64 `json:"censoring_concurrency,omitempty"`
	// BufferSize is in bytes, for each file. Default: 10 MiB.
	BufferSize         *int     `json:"censoring_buffer_size,omitempty"`
	IncludeDirectories []string `json:"include_directories,omitempty"`
	ExcludeDirectories []string `json:"exclude_directories,omitempty"`
	// IniFilenames are base names of secret files whose values are secrets too.
	IniFilenames []string `json:"ini_filenames,omitempty"`
	// MinimumSecretLength is in bytes. Default: 0.
	MinimumSecretLength *int `json:"minimum_secret_length,omitempty"`
}

// Sidecar configures sidecar.
type Sidecar struct {
	GCSOptions *Upload `json:"gcs_options,omitempty"`
	// DeprecatedWrapperOptions is the older form of Entries, for one entry.
	DeprecatedWrapperOptions *wrapper.Options  `json:"wrapper_options,omitempty"`
	Entries                  []wrapper.Options `json:"entries,omitempty"`
	// EntryError makes sidecar exit non-zero when an entry failed.
	EntryError bool `json:"entry_error,omitempty"`
	// IgnoreInterrupts keeps sidecar from storing early on a signal.
	IgnoreInterrupts   bool `json:"ignore_interrupts,omitempty"`
	WriteMemoryProfile bool `json:"write_memory_profile,omitempty"`
	// LogChunkInterval, in nanoseconds, is how often the growth of the logs is
	// stored during the run; 0 stores them at the end only.
	LogChunkInterval time.Duration `json:"log_chunk_interval,omitempty"`
	// The older places of three censoring options.
	DeprecatedSecretDirectories    []string   `json:"secret_directories,omitempty"`
	DeprecatedCensoringConcurrency *int64     `json:"censoring_concurrency,omitempty"`
	DeprecatedCensoringBufferSize  *int       `json:"censoring_buffer_size,omitempty"`
	CensoringOptions               *Censoring `json:"censoring_options,omitempty"`
}

// Normalize moves what older decorators wrote to its present place.
func (o *Sidecar) Normalize() error {
	if o.DeprecatedWrapperOptions != nil {
		o.Entries = append([]wrapper.Options{*o.DeprecatedWrapperOptions}, o.Entries...)
		o.DeprecatedWrapperOptions = nil
	}
	if o.DeprecatedSecretDirectories == nil && o.DeprecatedCensoringConcurrency == nil && o.DeprecatedCensoringBufferSize == nil {
		return nil
	}
	if o.CensoringOptions != nil {
		return errors.New("censoring is configured twice: in censoring_options and in the deprecated secret_directories, censoring_concurrency or censoring_buffer_size")
	}
	o.CensoringOptions = &Censoring{
		SecretDirectories: o.DeprecatedSecretDirectories,
		Concurrency:       o.DeprecatedCensoringConcurrency,
		BufferSize:        o.DeprecatedCensoringBufferSize,
	}
	o.DeprecatedSecretDirectories, o.DeprecatedCensoringConcurrency, o.DeprecatedCensoringBufferSize = nil, nil, nil
	return nil
}

// Validate demands entries and a storage; call Normalize first.
func (o *Sidecar) Validate() error {
	if len(o.Entries) == 0 {
		return errors.New("no entries are given")
	}
	for i := range o.Entries {
		if err := o.Entries[i].Validate(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	if o.GCSOptions == nil {
		return errors.New("gcs_options is missing")
	}
	if err := o.GCSOptions.Validate(); err != nil {
		return fmt.Errorf("gcs_options: %w", err)
	}
	return nil
}
