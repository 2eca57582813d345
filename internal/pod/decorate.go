package pod

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/downward"
	"prow/internal/pod/entry"
	"prow/internal/pod/options"
	"prow/internal/pod/wrapper"
)

// Names of the added containers.
const (
	CloneRefsContainer       = "clonerefs"
	InitUploadContainer      = "initupload"
	PlaceEntrypointContainer = "place-entrypoint"
	SidecarContainer         = "sidecar"
)

// decorate surrounds the test containers with the pod utilities. The order of
// the steps is the order of what they append.
func (b *builder) decorate(spec *corev1.PodSpec, pj *v1.ProwJob, env map[string]string) error {
	config := pj.Spec.DecorationConfig
	if config.UtilityImages == nil {
		return errors.New("decoration_config: utility_images is missing")
	}
	if config.GCSConfiguration == nil {
		return errors.New("decoration_config: gcs_configuration is missing")
	}
	resources := config.Resources
	if resources == nil {
		resources = &v1.Resources{}
	}

	env["ARTIFACTS"] = artifactsPath
	env["GOPATH"] = codeMount.MountPath
	jobSpec := env[downward.JobSpecEnv]

	store, err := b.storage(config)
	if err != nil {
		return err
	}
	clone, err := newClone(config, pj.Spec)
	if err != nil {
		return err
	}
	if clone != nil {
		container, err := clone.container(config.UtilityImages.CloneRefs, resources.CloneRefs)
		if err != nil {
			return err
		}
		spec.InitContainers = append([]corev1.Container{container}, spec.InitContainers...)
	}
	initUpload, err := initUploadContainer(config.UtilityImages.InitUpload, resources.InitUpload, store, clone != nil, jobSpec)
	if err != nil {
		return err
	}
	spec.InitContainers = append(spec.InitContainers, initUpload, placeEntrypointContainer(config.UtilityImages.Entrypoint, resources.PlaceEntrypoint))

	for i := range spec.Containers {
		appendEnv(&spec.Containers[i], env)
	}
	var entries []wrapper.Options
	var secrets secretMounts
	for i := range spec.Containers {
		container := &spec.Containers[i]
		if isTrue(config.CensorSecrets) {
			secrets.add(container.VolumeMounts, spec.Volumes)
		}
		prefix := container.Name
		if len(spec.Containers) == 1 {
			prefix = ""
		}
		entry, err := wrap(container, prefix, config, env)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	sidecar, err := sidecarContainer(config, resources.Sidecar, store, entries, secrets.mounts, jobSpec)
	if err != nil {
		return err
	}

	spec.Volumes = append(spec.Volumes, emptyDir(logsMount.Name), emptyDir(toolsMount.Name))
	spec.Volumes = append(spec.Volumes, store.volumes...)
	if clone != nil {
		spec.Volumes = append(spec.Volumes, clone.volumes...)
		spec.Volumes = append(spec.Volumes, emptyDir(codeMount.Name))
		for i := range spec.Containers {
			spec.Containers[i].WorkingDir = clone.workingDir()
			spec.Containers[i].VolumeMounts = append(spec.Containers[i].VolumeMounts, codeMount)
		}
	}
	if err := uniqueVolumes(spec.Volumes); err != nil {
		return err
	}

	setMemory(spec.Containers, config)
	setPodDefaults(spec, config)
	spec.Containers = append(spec.Containers, sidecar)
	return nil
}

// initUploadContainer is the container that tells storage of the start.
func initUploadContainer(image string, resources *corev1.ResourceRequirements, store *storage, cloned bool, jobSpec string) (corev1.Container, error) {
	opts := options.InitUpload{Upload: store.upload()}
	var mounts []corev1.VolumeMount
	if cloned {
		opts.Log = cloneLogPath
		mounts = append(mounts, logsMount)
	}
	encoded, err := encode(opts)
	if err != nil {
		return corev1.Container{}, err
	}
	return corev1.Container{
		Name:         InitUploadContainer,
		Image:        image,
		Env:          envVars(map[string]string{options.InitUploadEnv: encoded, downward.JobSpecEnv: jobSpec}),
		VolumeMounts: append(mounts, store.mounts()...),
		Resources:    requirements(resources),
	}, nil
}

// placeEntrypointContainer is the container that copies entrypoint to where the
// test containers find it, whatever their image.
func placeEntrypointContainer(image string, resources *corev1.ResourceRequirements) corev1.Container {
	return corev1.Container{
		Name:         PlaceEntrypointContainer,
		Image:        image,
		Args:         []string{"--copy-mode-only"},
		VolumeMounts: []corev1.VolumeMount{toolsMount},
		Resources:    requirements(resources),
	}
}

// wrap puts entrypoint before the command of a test container. The prefix tells
// the files of several containers apart; env are the variables of the job.
func wrap(container *corev1.Container, prefix string, config *v1.DecorationConfig, env map[string]string) (wrapper.Options, error) {
	files := wrapper.Options{
		Args:          append(append([]string{}, container.Command...), container.Args...),
		ContainerName: container.Name,
		ProcessLog:    path.Join(logsMount.MountPath, cmp.Or(prefix, "process")+"-log.txt"),
		MarkerFile:    path.Join(logsMount.MountPath, cmp.Or(prefix, "marker-file")+".txt"),
		MetadataFile:  path.Join(artifactsPath, "metadata.json"),
	}
	if prefix != "" {
		files.MarkerFile = path.Join(logsMount.MountPath, prefix+"-marker.txt")
		files.MetadataFile = path.Join(artifactsPath, prefix+"-metadata.json")
	}
	if len(files.Args) == 0 {
		return files, fmt.Errorf("container %s has neither command nor args, so entrypoint would have nothing to run", container.Name)
	}
	encoded, err := encode(entry.Options{
		Timeout:     config.Timeout.Get(),
		GracePeriod: config.GracePeriod.Get(),
		ArtifactDir: artifactsPath,
		Options:     files,
	})
	if err != nil {
		return files, err
	}
	if encoded, err = expandedInJSON(encoded, container.Env, env); err != nil {
		return files, fmt.Errorf("container %s: expanding its variables: %w", container.Name, err)
	}
	container.Command = []string{entrypointPath}
	container.Args = nil
	// Last: the kubelet expands references in the arguments, here inside this
	// value, only to variables that come before.
	container.Env = append(container.Env, corev1.EnvVar{Name: entry.OptionsEnv, Value: encoded})
	container.VolumeMounts = append(container.VolumeMounts, logsMount, toolsMount)
	return files, nil
}

// sidecarContainer is the container that stores what the test left.
func sidecarContainer(config *v1.DecorationConfig, resources *corev1.ResourceRequirements, store *storage, entries []wrapper.Options, secrets []corev1.VolumeMount, jobSpec string) (corev1.Container, error) {
	upload := store.upload()
	upload.Items = []string{artifactsPath}
	censoring := &options.Censoring{}
	for _, mount := range secrets {
		censoring.SecretDirectories = append(censoring.SecretDirectories, mount.MountPath)
	}
	if c := config.CensoringOptions; c != nil {
		censoring.Concurrency = c.CensoringConcurrency
		censoring.BufferSize = c.CensoringBufferSize
		censoring.IncludeDirectories = c.IncludeDirectories
		censoring.ExcludeDirectories = c.ExcludeDirectories
		censoring.IniFilenames = c.IniFilenames
		censoring.MinimumSecretLength = c.MinimumSecretLength
	}
	encoded, err := encode(options.Sidecar{
		GCSOptions:       upload,
		Entries:          entries,
		IgnoreInterrupts: isTrue(config.UploadIgnoresInterrupts),
		LogChunkInterval: config.LogChunkInterval.Get(),
		CensoringOptions: censoring,
	})
	if err != nil {
		return corev1.Container{}, err
	}
	mounts := append([]corev1.VolumeMount{logsMount}, store.credentialMounts...)
	mounts = append(mounts, secrets...)
	// The commands of the tests stand here for information, with their references.
	encoded = withoutReferenceTo(downward.JobSpecEnv, encoded)
	return corev1.Container{
		Name:                     SidecarContainer,
		Image:                    config.UtilityImages.Sidecar,
		Env:                      append(envVars(map[string]string{downward.JobSpecEnv: jobSpec}), corev1.EnvVar{Name: options.SidecarEnv, Value: encoded}),
		VolumeMounts:             append(mounts, store.directoryMounts...),
		Resources:                requirements(resources),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}, nil
}

// setMemory fills requests for memory, and then makes limits of them. The
// containers of the utilities are not concerned.
func setMemory(containers []corev1.Container, config *v1.DecorationConfig) {
	for i := range containers {
		resources := &containers[i].Resources
		if _, ok := resources.Requests[corev1.ResourceMemory]; !ok && config.DefaultMemoryRequest != nil {
			if resources.Requests == nil {
				resources.Requests = corev1.ResourceList{}
			}
			resources.Requests[corev1.ResourceMemory] = config.DefaultMemoryRequest.DeepCopy()
		}
		if request, ok := resources.Requests[corev1.ResourceMemory]; ok && isTrue(config.SetLimitEqualsMemoryRequest) {
			if resources.Limits == nil {
				resources.Limits = corev1.ResourceList{}
			}
			resources.Limits[corev1.ResourceMemory] = request.DeepCopy()
		}
	}
}

// setPodDefaults fills what the pod leaves open, and never overwrites.
func setPodDefaults(spec *corev1.PodSpec, config *v1.DecorationConfig) {
	config = config.DeepCopy() // the pod must not share pointers with the ProwJob
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	security := spec.SecurityContext
	security.RunAsUser = cmp.Or(security.RunAsUser, config.RunAsUser)
	security.RunAsGroup = cmp.Or(security.RunAsGroup, config.RunAsGroup)
	security.FSGroup = cmp.Or(security.FSGroup, config.FSGroup)

	if scheduling := config.SchedulingOptions; scheduling != nil {
		spec.Affinity = cmp.Or(spec.Affinity, scheduling.Affinity)
		if spec.Tolerations == nil {
			spec.Tolerations = scheduling.Tolerations
		}
	}
	if spec.TerminationGracePeriodSeconds == nil && config.GracePeriod != nil {
		// A quarter more than the test gets: for censoring and storing.
		seconds := int64(config.GracePeriod.Seconds()) * 5 / 4
		spec.TerminationGracePeriodSeconds = &seconds
	}
	if spec.ServiceAccountName == "" && config.DefaultServiceAccountName != nil {
		spec.ServiceAccountName = *config.DefaultServiceAccountName
	}
}

func requirements(r *corev1.ResourceRequirements) corev1.ResourceRequirements {
	if r == nil {
		return corev1.ResourceRequirements{}
	}
	return *r.DeepCopy()
}

func encode(opts any) (string, error) {
	encoded, err := json.Marshal(opts)
	if err != nil {
		return "", fmt.Errorf("writing %T: %w", opts, err)
	}
	return string(encoded), nil
}

func isTrue(b *bool) bool { return b != nil && *b }
