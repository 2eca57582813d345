package pod

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

// Paths in the containers.
const (
	artifactsPath  = "/logs/artifacts"
	cloneLogPath   = "/logs/clone.json"
	entrypointPath = "/tools/entrypoint"

	gcsCredentialsDir = "/secrets/gcs"
	s3CredentialsDir  = "/secrets/s3-storage"
	// credentialsKey is the key in both credentials secrets.
	credentialsKey = "service-account.json"

	localOutputDir = "/output"
)

// The volumes that the containers share.
var (
	logsMount  = corev1.VolumeMount{Name: v1.LogsVolume, MountPath: "/logs"}
	toolsMount = corev1.VolumeMount{Name: v1.ToolsVolume, MountPath: "/tools"}
	codeMount  = corev1.VolumeMount{Name: v1.CodeVolume, MountPath: "/home/prow/go"}
)

// storage is how initupload and sidecar reach storage.
type storage struct {
	config             *v1.GCSConfiguration
	gcsCredentialsFile string
	s3CredentialsFile  string

	credentialMounts []corev1.VolumeMount
	directoryMounts  []corev1.VolumeMount
	volumes          []corev1.Volume
}

func (b *builder) storage(config *v1.DecorationConfig) (*storage, error) {
	s := &storage{config: config.GCSConfiguration.DeepCopy()}
	if b.localOutput != "" {
		s.config.LocalOutputDir = localOutputDir
		s.addDirectory(v1.OutputVolume, b.localOutput, localOutputDir, nil)
		return s, nil
	}
	if name := config.GCSCredentialsSecret; name != nil && *name != "" {
		s.gcsCredentialsFile = s.addCredentials(v1.GCSCredentialsVolume, *name, gcsCredentialsDir)
	}
	if name := config.S3CredentialsSecret; name != nil && *name != "" {
		s.s3CredentialsFile = s.addCredentials(v1.S3CredentialsVolume, *name, s3CredentialsDir)
	}
	place, err := v1.ParseStoragePath(s.config.Bucket)
	if err != nil {
		return nil, fmt.Errorf("gcs_configuration: %w", err)
	}
	if place.Provider == "file" && s.config.LocalOutputDir == "" {
		// Storage in a directory of the node: only the utilities see it, at its own path.
		if !strings.HasPrefix(place.Path, "/") || place.Bucket != "" {
			return nil, fmt.Errorf("gcs_configuration: bucket %q: a file URL needs an absolute path and no host", s.config.Bucket)
		}
		create, dir := corev1.HostPathDirectoryOrCreate, path.Clean(place.Path)
		s.addDirectory(v1.StorageVolume, dir, dir, &create)
	}
	return s, nil
}

func (s *storage) addCredentials(volume, secret, dir string) (file string) {
	s.credentialMounts = append(s.credentialMounts, corev1.VolumeMount{Name: volume, MountPath: dir})
	s.volumes = append(s.volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: secret},
	}})
	return dir + "/" + credentialsKey
}

func (s *storage) addDirectory(volume, hostPath, mountPath string, hostPathType *corev1.HostPathType) {
	s.directoryMounts = append(s.directoryMounts, corev1.VolumeMount{Name: volume, MountPath: mountPath})
	s.volumes = append(s.volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: hostPath, Type: hostPathType},
	}})
}

func (s *storage) upload() *options.Upload {
	return &options.Upload{
		GCSConfiguration:   s.config,
		GCSCredentialsFile: s.gcsCredentialsFile,
		S3CredentialsFile:  s.s3CredentialsFile,
	}
}

func (s *storage) mounts() []corev1.VolumeMount {
	return slices.Concat(s.credentialMounts, s.directoryMounts)
}

// secretMounts collects the secrets that the tests see, for sidecar to censor.
type secretMounts struct {
	mounts []corev1.VolumeMount
}

// add takes the mounts of secrets over as they are. Two tests may see one
// secret at one place, which takes one mount, or two secrets at one place; then
// the later one moves, since a container cannot mount both there.
func (s *secretMounts) add(mounts []corev1.VolumeMount, volumes []corev1.Volume) {
	for _, mount := range mounts {
		isSecret := slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == mount.Name && v.Secret != nil })
		if !isSecret {
			continue
		}
		known := slices.IndexFunc(s.mounts, func(m corev1.VolumeMount) bool { return m.MountPath == mount.MountPath })
		if known >= 0 {
			old := s.mounts[known]
			if old.Name == mount.Name && old.SubPath == mount.SubPath && old.SubPathExpr == mount.SubPathExpr {
				continue
			}
			mount.MountPath = "/secrets/censor-" + strconv.Itoa(len(s.mounts))
		}
		s.mounts = append(s.mounts, *mount.DeepCopy())
	}
}

func emptyDir(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

func uniqueVolumes(volumes []corev1.Volume) error {
	seen := map[string]bool{}
	for _, volume := range volumes {
		if seen[volume.Name] {
			return fmt.Errorf("volume %q would exist twice; decoration reserves this name", volume.Name)
		}
		seen[volume.Name] = true
	}
	return nil
}
