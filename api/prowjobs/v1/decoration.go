package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DecorationConfig configures the pod utilities. A pointer that is set to an
// empty value counts as set: it keeps a default away.
type DecorationConfig struct {
	// Timeout is how long the test may run before it is interrupted. Unset: 2h.
	Timeout *Duration `json:"timeout,omitempty"`
	// GracePeriod is the time between interrupt and kill. Unset: 15s.
	GracePeriod *Duration `json:"grace_period,omitempty"`
	// UtilityImages are the images of the pod utilities.
	UtilityImages *UtilityImages `json:"utility_images,omitempty"`
	// Resources are the resources of the added containers.
	Resources *Resources `json:"resources,omitempty"`
	// GCSConfiguration says where logs and artifacts go.
	GCSConfiguration *GCSConfiguration `json:"gcs_configuration,omitempty"`
	// GCSCredentialsSecret names the secret for GCS; "" is explicitly none.
	GCSCredentialsSecret *string `json:"gcs_credentials_secret,omitempty"`
	// S3CredentialsSecret names the secret for S3; "" is explicitly none.
	S3CredentialsSecret *string `json:"s3_credentials_secret,omitempty"`
	// DefaultServiceAccountName is used when the pod names no service account.
	DefaultServiceAccountName *string `json:"default_service_account_name,omitempty"`
	// SSHKeySecrets name secrets with SSH keys for cloning.
	SSHKeySecrets []string `json:"ssh_key_secrets,omitempty"`
	// SSHHostFingerprints are known_hosts lines.
	SSHHostFingerprints []string `json:"ssh_host_fingerprints,omitempty"`
	// BloblessFetch is the default of the refs.
	BloblessFetch *bool `json:"blobless_fetch,omitempty"`
	// SparseCheckoutFiles go to the primary ref only.
	SparseCheckoutFiles []string `json:"sparse_checkout_files,omitempty"`
	// SparseCheckout lists directories to which the work tree of the primary ref
	// is restricted, in git's cone mode: the named directories with everything
	// below, and the files beside them on the way up. Extra refs have their own
	// list. It excludes SparseCheckoutFiles.
	SparseCheckout []string `json:"sparse_checkout,omitempty"`
	// GitMirrorVolume holds bare mirrors from which clones borrow objects.
	GitMirrorVolume *GitMirrorVolume `json:"git_mirror_volume,omitempty"`
	// SkipCloning leaves out clonerefs.
	SkipCloning *bool `json:"skip_cloning,omitempty"`
	// CookieFileSecret is "secret" or "secret/key".
	CookieFileSecret *string `json:"cookiefile_secret,omitempty"`
	// OauthTokenSecret holds the token for https clones.
	OauthTokenSecret *OauthTokenSecret `json:"oauth_token_secret,omitempty"`
	// GitHubAPIEndpoints serve GitHub App authentication.
	GitHubAPIEndpoints []string `json:"github_api_endpoints,omitempty"`
	// GitHubAppID is the id of the GitHub App whose tokens clone private repositories; it goes with GitHubAppPrivateKeySecret.
	GitHubAppID string `json:"github_app_id,omitempty"`
	// GitHubAppPrivateKeySecret holds the key of the GitHub App.
	GitHubAppPrivateKeySecret *GitHubAppPrivateKeySecret `json:"github_app_private_key_secret,omitempty"`
	// CensorSecrets mounts the test's secrets into sidecar for censoring.
	CensorSecrets *bool `json:"censor_secrets,omitempty"`
	// CensoringOptions tune the censoring.
	CensoringOptions *CensoringOptions `json:"censoring_options,omitempty"`
	// UploadIgnoresInterrupts keeps sidecar from uploading early on a signal.
	UploadIgnoresInterrupts *bool `json:"upload_ignores_interrupts,omitempty"`
	// LogChunkInterval is how often sidecar stores what the log has grown by, so
	// that a pod that is killed keeps its log. Unset or 0: the log is stored at
	// the end only. At least 1s otherwise.
	LogChunkInterval *Duration `json:"log_chunk_interval,omitempty"`
	// SetLimitEqualsMemoryRequest sets the memory limit to the memory request.
	SetLimitEqualsMemoryRequest *bool `json:"set_limit_equals_memory_request,omitempty"`
	// DefaultMemoryRequest is for test containers without a memory request.
	DefaultMemoryRequest *resource.Quantity `json:"default_memory_request,omitempty"`
	// SchedulingOptions apply only where the pod has none.
	SchedulingOptions *SchedulingOptions `json:"scheduling_options,omitempty"`
	// PodPendingTimeout, PodRunningTimeout and PodUnscheduledTimeout override
	// the global time-outs of the pod controller for this job.
	PodPendingTimeout     *metav1.Duration `json:"pod_pending_timeout,omitempty"`
	PodRunningTimeout     *metav1.Duration `json:"pod_running_timeout,omitempty"`
	PodUnscheduledTimeout *metav1.Duration `json:"pod_unscheduled_timeout,omitempty"`
	// RunAsUser, RunAsGroup and FSGroup fill the pod's security context where unset.
	RunAsUser  *int64 `json:"run_as_user,omitempty"`
	RunAsGroup *int64 `json:"run_as_group,omitempty"`
	FSGroup    *int64 `json:"fs_group,omitempty"`
}

// UtilityImages are the images of the pod utilities.
type UtilityImages struct {
	// CloneRefs is the image of the init container that clones.
	CloneRefs string `json:"clonerefs,omitempty"`
	// InitUpload is the image of the init container that stores started.json and the clone records.
	InitUpload string `json:"initupload,omitempty"`
	// Entrypoint is the image of the init container that places the wrapper of the test.
	Entrypoint string `json:"entrypoint,omitempty"`
	// Sidecar is the image of the container that stores logs and artifacts.
	Sidecar string `json:"sidecar,omitempty"`
}

// Resources are the resources of the added containers.
type Resources struct {
	// CloneRefs are the resources of the init container that clones.
	CloneRefs *corev1.ResourceRequirements `json:"clonerefs,omitempty"`
	// InitUpload are the resources of the init container initupload.
	InitUpload *corev1.ResourceRequirements `json:"initupload,omitempty"`
	// PlaceEntrypoint are the resources of the init container place-entrypoint.
	PlaceEntrypoint *corev1.ResourceRequirements `json:"place_entrypoint,omitempty"`
	// Sidecar are the resources of the container sidecar.
	Sidecar *corev1.ResourceRequirements `json:"sidecar,omitempty"`
}

// GitMirrorVolume is a read-only volume of bare git mirrors, each at
// <host>/<org>/<repo>.git below its root. Clones take from there the objects it
// has and fetch the rest, so a mirror that is old or missing costs time only.
// At most one field is set; an empty object keeps a default away.
type GitMirrorVolume struct {
	// HostPath is an absolute directory of the node.
	HostPath string `json:"host_path,omitempty"`
	// ClaimName is a PersistentVolumeClaim in the namespace of the pod.
	ClaimName string `json:"claim_name,omitempty"`
}

// SchedulingOptions apply only where the pod has none.
type SchedulingOptions struct {
	// Affinity is set on pods whose job sets none.
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// Tolerations are set on pods whose job sets none.
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// CensoringOptions tune the censoring of logs and artifacts.
type CensoringOptions struct {
	// CensoringConcurrency is how many files are censored at once. Default: 10.
	CensoringConcurrency *int64 `json:"censoring_concurrency,omitempty"`
	// CensoringBufferSize is the size in bytes of the buffer for each. Default: 10 MiB.
	CensoringBufferSize *int `json:"censoring_buffer_size,omitempty"`
	// IncludeDirectories limits censoring to these globs; empty is everything.
	IncludeDirectories []string `json:"include_directories,omitempty"`
	// ExcludeDirectories are globs that are left alone.
	ExcludeDirectories []string `json:"exclude_directories,omitempty"`
	// IniFilenames are base names of secret files in INI form, whose values are
	// secrets too.
	IniFilenames []string `json:"ini_filenames,omitempty"`
	// MinimumSecretLength is the shortest secret, in bytes, that is censored. Default: 0.
	MinimumSecretLength *int `json:"minimum_secret_length,omitempty"`
}

// OauthTokenSecret names the key of a secret that holds an OAuth token.
type OauthTokenSecret struct {
	// Name is that of the secret.
	Name string `json:"name,omitempty"`
	// Key is that of the token within the secret.
	Key string `json:"key,omitempty"`
}

// GitHubAppPrivateKeySecret names the key of a secret that holds the key of a GitHub App.
type GitHubAppPrivateKeySecret struct {
	// Name is that of the secret.
	Name string `json:"name,omitempty"`
	// Key is that of the PEM file within the secret.
	Key string `json:"key,omitempty"`
}

// Strategies of the storage path.
const (
	// PathStrategyLegacy leaves out org and repo of the default repository.
	PathStrategyLegacy = "legacy"
	// PathStrategySingle leaves out org and repo only for the default repository.
	PathStrategySingle = "single"
	// PathStrategyExplicit always names org and repo.
	PathStrategyExplicit = "explicit"
)

// GCSConfiguration says where logs and artifacts go; the provider is told by
// the scheme of the bucket.
type GCSConfiguration struct {
	// Bucket is gs://name, s3://name, file:///path, or a bare name (gs).
	Bucket string `json:"bucket,omitempty"`
	// PathPrefix is inserted before the path of the job.
	PathPrefix string `json:"path_prefix,omitempty"`
	// PathStrategy is legacy, single or explicit.
	PathStrategy string `json:"path_strategy,omitempty"`
	// DefaultOrg and DefaultRepo are needed for legacy and single.
	DefaultOrg  string `json:"default_org,omitempty"`
	DefaultRepo string `json:"default_repo,omitempty"`
	// MediaTypes map an extension to a media type.
	MediaTypes map[string]string `json:"mediaTypes,omitempty"`
	// JobURLPrefix is the URL below which output is shown; it wins over the global map.
	JobURLPrefix string `json:"job_url_prefix,omitempty"`
	// LocalOutputDir receives a copy instead of an upload.
	LocalOutputDir string `json:"local_output_dir,omitempty"`
	// CompressFileTypes are extensions to gzip before upload; "*" is all.
	CompressFileTypes []string `json:"compress_file_types,omitempty"`
}
