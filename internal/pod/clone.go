package pod

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

const (
	sshKeysDir    = "/secrets/ssh"
	oauthDir      = "/secrets/oauth"
	githubAppDir  = "/secrets/github-app"
	cookieFileDir = "/secrets/cookiefile"
	mirrorDir     = "/git-mirrors"

	secretFileMode int32 = 0o400
)

// clone is what the clonerefs container needs; nil where nothing is cloned.
type clone struct {
	options options.Clone
	mounts  []corev1.VolumeMount
	volumes []corev1.Volume
}

// newClone returns nil when there is nothing to clone, or the job does it itself.
func newClone(config *v1.DecorationConfig, spec v1.ProwJobSpec) (*clone, error) {
	var refs []v1.Refs
	if spec.Refs != nil {
		refs = append(refs, *spec.Refs)
	}
	refs = append(refs, spec.ExtraRefs...)
	if isTrue(config.SkipCloning) || len(refs) == 0 {
		return nil, nil
	}

	c := &clone{
		options: options.Clone{
			SrcRoot:            codeMount.MountPath,
			Log:                cloneLogPath,
			GitUserName:        options.DefaultGitUserName,
			GitUserEmail:       options.DefaultGitUserEmail,
			Refs:               refs,
			HostFingerprints:   config.SSHHostFingerprints,
			GitHubAPIEndpoints: config.GitHubAPIEndpoints,
			GitHubAppID:        config.GitHubAppID,
		},
		mounts: []corev1.VolumeMount{logsMount, codeMount},
	}
	if len(c.options.GitHubAPIEndpoints) == 0 {
		c.options.GitHubAPIEndpoints = []string{options.DefaultGitHubEndpoint}
	}
	for _, secret := range config.SSHKeySecrets {
		dir := path.Join(sshKeysDir, secret)
		c.addSecret(v1.SSHKeyVolume(secret), dir, secretWithMode(secret))
		c.options.KeyFiles = append(c.options.KeyFiles, dir)
	}
	if secret := config.OauthTokenSecret; secret != nil {
		c.addSecret(v1.SecretVolume(secret.Name), oauthDir, secretWithKey(secret.Name, secret.Key))
		c.options.OauthTokenFile = path.Join(oauthDir, secret.Key)
	}
	if secret := config.GitHubAppPrivateKeySecret; secret != nil {
		c.addSecret(v1.SecretVolume(secret.Name), githubAppDir, secretWithKey(secret.Name, secret.Key))
		c.options.GitHubAppPrivateKeyFile = path.Join(githubAppDir, secret.Key)
	}
	c.mounts = append(c.mounts, corev1.VolumeMount{Name: v1.CloneTmpVolume, MountPath: "/tmp"})
	c.volumes = append(c.volumes, emptyDir(v1.CloneTmpVolume))
	if cookie := config.CookieFileSecret; cookie != nil && *cookie != "" {
		secret, key, found := strings.Cut(*cookie, "/")
		if !found {
			key = secret
		}
		c.addSecret(v1.CookieFileVolume, cookieFileDir, secretWithMode(secret))
		c.options.CookiePath = path.Join(cookieFileDir, key)
	}
	if source := mirrorSource(config.GitMirrorVolume); source != nil {
		c.mounts = append(c.mounts, corev1.VolumeMount{Name: v1.GitMirrorsVolume, MountPath: mirrorDir, ReadOnly: true})
		c.volumes = append(c.volumes, corev1.Volume{Name: v1.GitMirrorsVolume, VolumeSource: *source})
		c.options.MirrorDir = mirrorDir
	}
	return c, nil
}

// mirrorSource is nil where no mirrors are configured. A directory that a node
// lacks is made, empty: the job then clones without mirrors instead of hanging.
func mirrorSource(volume *v1.GitMirrorVolume) *corev1.VolumeSource {
	switch {
	case volume == nil:
		return nil
	case volume.HostPath != "":
		create := corev1.HostPathDirectoryOrCreate
		return &corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: volume.HostPath, Type: &create}}
	case volume.ClaimName != "":
		return &corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: volume.ClaimName, ReadOnly: true}}
	}
	return nil
}

func (c *clone) addSecret(volume, dir string, source *corev1.SecretVolumeSource) {
	c.mounts = append(c.mounts, corev1.VolumeMount{Name: volume, MountPath: dir, ReadOnly: true})
	c.volumes = append(c.volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{Secret: source}})
}

// secretWithMode is for files whose readers insist on their being private.
func secretWithMode(name string) *corev1.SecretVolumeSource {
	mode := secretFileMode
	return &corev1.SecretVolumeSource{SecretName: name, DefaultMode: &mode}
}

func secretWithKey(name, key string) *corev1.SecretVolumeSource {
	return &corev1.SecretVolumeSource{SecretName: name, Items: []corev1.KeyToPath{{Key: key, Path: "./" + key}}}
}

func (c *clone) container(image string, resources *corev1.ResourceRequirements) (corev1.Container, error) {
	encoded, err := encode(c.options)
	if err != nil {
		return corev1.Container{}, err
	}
	var args []string
	if c.options.CookiePath != "" {
		args = []string{"--cookiefile=" + c.options.CookiePath}
	}
	return corev1.Container{
		Name:         CloneRefsContainer,
		Image:        image,
		Args:         args,
		Env:          envVars(map[string]string{options.CloneEnv: encoded}),
		VolumeMounts: c.mounts,
		Resources:    requirements(resources),
	}, nil
}

// workingDir is where the test runs: in the repository that asks for it, else
// in the first one.
func (c *clone) workingDir() string {
	refs := c.options.Refs
	chosen := max(0, slices.IndexFunc(refs, func(r v1.Refs) bool { return r.WorkDir }))
	return refs[chosen].ClonePath(codeMount.MountPath)
}
