package v1

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Names of the volumes that decoration adds to a pod.
const (
	LogsVolume           = "logs"
	ToolsVolume          = "tools"
	CodeVolume           = "code"
	GCSCredentialsVolume = "gcs-credentials"
	S3CredentialsVolume  = "s3-credentials"
	CloneTmpVolume       = "clonerefs-tmp"
	CookieFileVolume     = "cookiefile"
	GitMirrorsVolume     = "git-mirrors"
	// StorageVolume is the directory of a file:// bucket.
	StorageVolume = "storage"
	// OutputVolume is the directory of pods made for a look at their output.
	OutputVolume = "output"
)

// ReservedVolumes are the names that a job may not give to volumes of its own:
// five for every job, and those that decoration by d, which may be nil, adds to
// a pod that clones its code. All others are the job's to use.
func (d *DecorationConfig) ReservedVolumes() []string {
	names := []string{LogsVolume, CodeVolume, ToolsVolume, GCSCredentialsVolume, S3CredentialsVolume}
	if d == nil {
		return names
	}
	if d.GCSConfiguration != nil && strings.HasPrefix(d.GCSConfiguration.Bucket, "file://") {
		names = append(names, StorageVolume)
	}
	if d.SkipCloning != nil && *d.SkipCloning {
		return names
	}
	names = append(names, CloneTmpVolume)
	for _, secret := range d.SSHKeySecrets {
		names = append(names, SSHKeyVolume(secret))
	}
	if secret := d.OauthTokenSecret; secret != nil {
		names = append(names, SecretVolume(secret.Name))
	}
	if secret := d.GitHubAppPrivateKeySecret; secret != nil {
		names = append(names, SecretVolume(secret.Name))
	}
	if cookie := d.CookieFileSecret; cookie != nil && *cookie != "" {
		names = append(names, CookieFileVolume)
	}
	if m := d.GitMirrorVolume; m != nil && *m != (GitMirrorVolume{}) {
		names = append(names, GitMirrorsVolume)
	}
	return names
}

// SecretVolume names the volume of a secret: mostly as the secret, but secrets
// may have dots and longer names than volumes; then a hash tells them apart.
func SecretVolume(secret string) string {
	if len(validation.IsDNS1123Label(secret)) == 0 {
		return secret
	}
	const hashLength = 8
	sum := sha256.Sum256([]byte(secret))
	name := strings.ReplaceAll(secret, ".", "-")
	if most := validation.DNS1123LabelMaxLength - hashLength - 1; len(name) > most {
		name = name[:most]
	}
	return strings.Trim(name, "-") + "-" + hex.EncodeToString(sum[:])[:hashLength]
}

// SSHKeyVolume names the volume of a secret with SSH keys.
func SSHKeyVolume(secret string) string { return SecretVolume("ssh-keys-" + secret) }
