package v1

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"
)

// ApplyDefault returns a copy of d in which each unset field is taken from def.
// Neither argument is changed or shared with the result; both may be nil, and
// the result is nil only if both are.
//
// A pointer that is set to an empty value counts as set and keeps the default
// away. Images, resources, storage, censoring and scheduling merge field by
// field; secrets with a key are replaced as a whole.
func (d *DecorationConfig) ApplyDefault(def *DecorationConfig) *DecorationConfig {
	if d == nil || def == nil {
		return cmp.Or(d, def).DeepCopy()
	}
	d, def = d.DeepCopy(), def.DeepCopy()

	d.Timeout = cmp.Or(d.Timeout, def.Timeout)
	d.GracePeriod = cmp.Or(d.GracePeriod, def.GracePeriod)
	d.UtilityImages = d.UtilityImages.applyDefault(def.UtilityImages)
	d.Resources = d.Resources.applyDefault(def.Resources)
	d.GCSConfiguration = d.GCSConfiguration.ApplyDefault(def.GCSConfiguration)
	d.GCSCredentialsSecret = cmp.Or(d.GCSCredentialsSecret, def.GCSCredentialsSecret)
	d.S3CredentialsSecret = cmp.Or(d.S3CredentialsSecret, def.S3CredentialsSecret)
	d.DefaultServiceAccountName = cmp.Or(d.DefaultServiceAccountName, def.DefaultServiceAccountName)
	d.SSHKeySecrets = orList(d.SSHKeySecrets, def.SSHKeySecrets)
	d.SSHHostFingerprints = orList(d.SSHHostFingerprints, def.SSHHostFingerprints)
	d.BloblessFetch = cmp.Or(d.BloblessFetch, def.BloblessFetch)
	if len(d.SparseCheckoutFiles) == 0 && len(d.SparseCheckout) == 0 {
		// The two exclude each other, so whoever chooses one is not given the other.
		d.SparseCheckoutFiles, d.SparseCheckout = def.SparseCheckoutFiles, def.SparseCheckout
	}
	d.GitMirrorVolume = cmp.Or(d.GitMirrorVolume, def.GitMirrorVolume)
	d.SkipCloning = cmp.Or(d.SkipCloning, def.SkipCloning)
	d.CookieFileSecret = cmp.Or(d.CookieFileSecret, def.CookieFileSecret)
	d.OauthTokenSecret = cmp.Or(d.OauthTokenSecret, def.OauthTokenSecret)
	d.GitHubAPIEndpoints = orList(d.GitHubAPIEndpoints, def.GitHubAPIEndpoints)
	d.GitHubAppID = cmp.Or(d.GitHubAppID, def.GitHubAppID)
	d.GitHubAppPrivateKeySecret = cmp.Or(d.GitHubAppPrivateKeySecret, def.GitHubAppPrivateKeySecret)
	d.CensorSecrets = cmp.Or(d.CensorSecrets, def.CensorSecrets)
	d.CensoringOptions = d.CensoringOptions.applyDefault(def.CensoringOptions)
	d.UploadIgnoresInterrupts = cmp.Or(d.UploadIgnoresInterrupts, def.UploadIgnoresInterrupts)
	d.LogChunkInterval = cmp.Or(d.LogChunkInterval, def.LogChunkInterval)
	d.SetLimitEqualsMemoryRequest = cmp.Or(d.SetLimitEqualsMemoryRequest, def.SetLimitEqualsMemoryRequest)
	d.DefaultMemoryRequest = cmp.Or(d.DefaultMemoryRequest, def.DefaultMemoryRequest)
	d.SchedulingOptions = d.SchedulingOptions.applyDefault(def.SchedulingOptions)
	d.PodPendingTimeout = cmp.Or(d.PodPendingTimeout, def.PodPendingTimeout)
	d.PodRunningTimeout = cmp.Or(d.PodRunningTimeout, def.PodRunningTimeout)
	d.PodUnscheduledTimeout = cmp.Or(d.PodUnscheduledTimeout, def.PodUnscheduledTimeout)
	d.RunAsUser = cmp.Or(d.RunAsUser, def.RunAsUser)
	d.RunAsGroup = cmp.Or(d.RunAsGroup, def.RunAsGroup)
	d.FSGroup = cmp.Or(d.FSGroup, def.FSGroup)
	return d
}

func orList[T any](list, def []T) []T {
	if len(list) == 0 {
		return def
	}
	return list
}

func (u *UtilityImages) applyDefault(def *UtilityImages) *UtilityImages {
	if u == nil || def == nil {
		return cmp.Or(u, def)
	}
	return &UtilityImages{
		CloneRefs:  cmp.Or(u.CloneRefs, def.CloneRefs),
		InitUpload: cmp.Or(u.InitUpload, def.InitUpload),
		Entrypoint: cmp.Or(u.Entrypoint, def.Entrypoint),
		Sidecar:    cmp.Or(u.Sidecar, def.Sidecar),
	}
}

func (r *Resources) applyDefault(def *Resources) *Resources {
	if r == nil || def == nil {
		return cmp.Or(r, def)
	}
	return &Resources{
		CloneRefs:       cmp.Or(r.CloneRefs, def.CloneRefs),
		InitUpload:      cmp.Or(r.InitUpload, def.InitUpload),
		PlaceEntrypoint: cmp.Or(r.PlaceEntrypoint, def.PlaceEntrypoint),
		Sidecar:         cmp.Or(r.Sidecar, def.Sidecar),
	}
}

func (c *CensoringOptions) applyDefault(def *CensoringOptions) *CensoringOptions {
	if c == nil || def == nil {
		return cmp.Or(c, def)
	}
	c.CensoringConcurrency = cmp.Or(c.CensoringConcurrency, def.CensoringConcurrency)
	c.CensoringBufferSize = cmp.Or(c.CensoringBufferSize, def.CensoringBufferSize)
	if c.IncludeDirectories == nil {
		c.IncludeDirectories = def.IncludeDirectories
	}
	if c.ExcludeDirectories == nil {
		c.ExcludeDirectories = def.ExcludeDirectories
	}
	if c.IniFilenames == nil {
		c.IniFilenames = def.IniFilenames
	}
	c.MinimumSecretLength = cmp.Or(c.MinimumSecretLength, def.MinimumSecretLength)
	return c
}

func (s *SchedulingOptions) applyDefault(def *SchedulingOptions) *SchedulingOptions {
	if s == nil || def == nil {
		return cmp.Or(s, def)
	}
	s.Affinity = cmp.Or(s.Affinity, def.Affinity)
	if s.Tolerations == nil {
		s.Tolerations = def.Tolerations
	}
	return s
}

// ApplyDefault returns a copy of g in which each empty field is taken from def.
// Media types are united; for an extension that both name, the default wins. An
// empty list of types to compress is set, and keeps the default away.
func (g *GCSConfiguration) ApplyDefault(def *GCSConfiguration) *GCSConfiguration {
	if g == nil || def == nil {
		return cmp.Or(g, def).DeepCopy()
	}
	g, def = g.DeepCopy(), def.DeepCopy()
	g.Bucket = cmp.Or(g.Bucket, def.Bucket)
	g.PathPrefix = cmp.Or(g.PathPrefix, def.PathPrefix)
	g.PathStrategy = cmp.Or(g.PathStrategy, def.PathStrategy)
	g.DefaultOrg = cmp.Or(g.DefaultOrg, def.DefaultOrg)
	g.DefaultRepo = cmp.Or(g.DefaultRepo, def.DefaultRepo)
	if g.MediaTypes == nil {
		g.MediaTypes = def.MediaTypes
	} else {
		maps.Copy(g.MediaTypes, def.MediaTypes)
	}
	g.JobURLPrefix = cmp.Or(g.JobURLPrefix, def.JobURLPrefix)
	g.LocalOutputDir = cmp.Or(g.LocalOutputDir, def.LocalOutputDir)
	if g.CompressFileTypes == nil {
		g.CompressFileTypes = def.CompressFileTypes
	}
	return g
}

// Validate tells why a pod cannot be decorated by d: an image is missing, the
// storage is not described, or two ways of cloning are asked for. Absent
// credentials are legal.
func (d *DecorationConfig) Validate() error {
	if d == nil {
		return errors.New("no decoration config")
	}
	if err := d.UtilityImages.validate(); err != nil {
		return err
	}
	if d.GCSConfiguration == nil {
		return errors.New("gcs_configuration is missing")
	}
	if err := d.GCSConfiguration.Validate(); err != nil {
		return fmt.Errorf("gcs_configuration: %w", err)
	}
	if d.OauthTokenSecret != nil && len(d.SSHKeySecrets) > 0 {
		return errors.New("oauth_token_secret and ssh_key_secrets exclude each other")
	}
	if err := validateSparse(d.SparseCheckoutFiles, d.SparseCheckout); err != nil {
		return err
	}
	if err := d.GitMirrorVolume.validate(); err != nil {
		return fmt.Errorf("git_mirror_volume: %w", err)
	}
	if every := d.LogChunkInterval.Get(); every != 0 && every < MinLogChunkInterval {
		return fmt.Errorf("log_chunk_interval is %s, must be 0 or at least %s", every, MinLogChunkInterval)
	}
	return nil
}

// MinLogChunkInterval is the shortest log_chunk_interval: each chunk is a write to storage.
const MinLogChunkInterval = time.Second

// validateSparse refuses two ways at once, and what cone mode cannot take: it
// knows directories below the root of the repository, and no patterns.
func validateSparse(files, dirs []string) error {
	if len(files) > 0 && len(dirs) > 0 {
		return errors.New("sparse_checkout and sparse_checkout_files exclude each other")
	}
	for _, dir := range dirs {
		clean := strings.Trim(dir, "/")
		switch {
		case clean == "" || slices.Contains(strings.Split(clean, "/"), ".."):
			return fmt.Errorf("sparse_checkout: %q is not a directory of the repository", dir)
		case strings.HasPrefix(dir, "-") || strings.ContainsAny(dir, "*?[]\\\n\x00") || strings.HasPrefix(dir, "!"):
			return fmt.Errorf("sparse_checkout: %q is a pattern; only directories can be named (sparse_checkout_files takes patterns)", dir)
		}
	}
	return nil
}

func (g *GitMirrorVolume) validate() error {
	switch {
	case g == nil:
		return nil
	case g.HostPath != "" && g.ClaimName != "":
		return errors.New("host_path and claim_name exclude each other")
	case g.HostPath != "" && (!strings.HasPrefix(g.HostPath, "/") || slices.Contains(strings.Split(g.HostPath, "/"), "..")):
		return fmt.Errorf("host_path %q must be absolute and without \"..\"", g.HostPath)
	}
	return nil
}

func (u *UtilityImages) validate() error {
	if u == nil {
		u = &UtilityImages{}
	}
	var missing []string
	for _, image := range []struct{ name, value string }{
		{"clonerefs", u.CloneRefs}, {"initupload", u.InitUpload}, {"entrypoint", u.Entrypoint}, {"sidecar", u.Sidecar},
	} {
		if image.value == "" {
			missing = append(missing, image.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("utility_images: no image for %s", strings.Join(missing, ", "))
	}
	return nil
}

// Validate tells why g does not describe a place in storage. A bucket is not
// demanded: a dry run needs none.
func (g *GCSConfiguration) Validate() error {
	if _, err := ParseStoragePath(g.Bucket); err != nil {
		return err
	}
	for _, extension := range slices.Sorted(maps.Keys(g.MediaTypes)) {
		if _, _, err := mime.ParseMediaType(g.MediaTypes[extension]); err != nil {
			return fmt.Errorf("mediaTypes: %q for extension %q: %w", g.MediaTypes[extension], extension, err)
		}
	}
	switch g.PathStrategy {
	case PathStrategyExplicit:
	case PathStrategyLegacy, PathStrategySingle:
		if g.DefaultOrg == "" || g.DefaultRepo == "" {
			return fmt.Errorf("path_strategy %q needs both default_org and default_repo", g.PathStrategy)
		}
	default:
		return fmt.Errorf("path_strategy is %q, must be %s, %s or %s", g.PathStrategy, PathStrategyLegacy, PathStrategySingle, PathStrategyExplicit)
	}
	return nil
}
