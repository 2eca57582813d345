package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prow/standalone/node/executor"
)

// checkVolumes says which volume of the pod this node can never provide.
func checkVolumes(pod *corev1.Pod, hostPaths []string) error {
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.EmptyDir != nil, v.Secret != nil, v.ConfigMap != nil, v.Projected != nil, v.DownwardAPI != nil:
		case v.HostPath != nil:
			if !hostPathAllowed(v.HostPath.Path, hostPaths) {
				return fmt.Errorf("volume %q: host path %s is not allowed on this node (allowed: %s)", v.Name, v.HostPath.Path, strings.Join(append([]string(nil), hostPaths...), ", "))
			}
		default:
			return fmt.Errorf("volume %q is of a kind this node does not provide", v.Name)
		}
	}
	return nil
}

func hostPathAllowed(path string, allowed []string) bool {
	path = filepath.Clean(path)
	return slices.ContainsFunc(allowed, func(a string) bool {
		return path == a || strings.HasPrefix(path, strings.TrimSuffix(a, "/")+"/")
	})
}

// volumes are a pod's volumes as directories or files of this machine.
type volumes struct {
	sources  map[string]string
	readOnly map[string]bool
}

// makeVolumes makes all volumes of the pod. It can be repeated after a failure.
func makeVolumes(ctx context.Context, p *provider, pod *corev1.Pod) (*volumes, error) {
	m := &volumeMaker{
		src:  &envSource{ctx: ctx, p: p, pod: pod},
		root: filepath.Join(p.podDir(pod.UID), "volumes"),
		opts: p.opts,
	}
	out := &volumes{sources: map[string]string{}, readOnly: map[string]bool{}}
	if err := os.MkdirAll(m.root, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for volumes: %w", err)
	}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		path, readOnly, err := m.make(v)
		if err == nil && v.HostPath == nil {
			err = m.own(path)
		}
		if err != nil {
			return nil, fmt.Errorf("volume %q: %w", v.Name, err)
		}
		out.sources[v.Name], out.readOnly[v.Name] = path, readOnly
	}
	return out, nil
}

type volumeMaker struct {
	src  *envSource
	root string
	opts Options
}

// make makes one volume; whether it is read-only is a matter of its kind.
func (m *volumeMaker) make(v *corev1.Volume) (path string, readOnly bool, err error) {
	path = filepath.Join(m.root, v.Name)
	switch {
	case v.EmptyDir != nil:
		return path, false, mkdirMode(path, 0o777)
	case v.HostPath != nil:
		return v.HostPath.Path, false, m.hostPath(v.HostPath)
	case v.Secret != nil:
		files, err := m.secretFiles(&corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: v.Secret.SecretName}, Items: v.Secret.Items, Optional: v.Secret.Optional})
		return path, true, errors.Join(err, writeFiles(path, files, err, v.Secret.DefaultMode))
	case v.ConfigMap != nil:
		files, err := m.configMapFiles(&corev1.ConfigMapProjection{LocalObjectReference: v.ConfigMap.LocalObjectReference, Items: v.ConfigMap.Items, Optional: v.ConfigMap.Optional})
		return path, true, errors.Join(err, writeFiles(path, files, err, v.ConfigMap.DefaultMode))
	case v.DownwardAPI != nil:
		files, err := m.downwardFiles(v.DownwardAPI.Items)
		return path, true, errors.Join(err, writeFiles(path, files, err, v.DownwardAPI.DefaultMode))
	case v.Projected != nil:
		files, err := m.projectedFiles(v.Projected)
		return path, true, errors.Join(err, writeFiles(path, files, err, v.Projected.DefaultMode))
	}
	return "", false, errors.New("this node does not provide its kind")
}

// volumeFile is a file of a volume; mode nil takes the volume's default.
type volumeFile struct {
	path string
	data []byte
	mode *int32
}

// pick chooses the items of a secret or config map; without items, all keys.
func pick(kind, name string, data map[string][]byte, items []corev1.KeyToPath, optional *bool) ([]volumeFile, error) {
	var out []volumeFile
	if len(items) == 0 {
		for _, k := range sortedKeys(data) {
			out = append(out, volumeFile{path: k, data: data[k]})
		}
		return out, nil
	}
	for _, item := range items {
		v, ok := data[item.Key]
		if !ok {
			if isTrue(optional) {
				continue
			}
			return nil, fmt.Errorf("%s %q has no key %q", kind, name, item.Key)
		}
		out = append(out, volumeFile{path: item.Path, data: v, mode: item.Mode})
	}
	return out, nil
}

func (m *volumeMaker) secretFiles(s *corev1.SecretProjection) ([]volumeFile, error) {
	data, err := m.src.secret(s.Name, s.Optional)
	if err != nil {
		return nil, err
	}
	return pick("secret", s.Name, data, s.Items, s.Optional)
}

func (m *volumeMaker) configMapFiles(s *corev1.ConfigMapProjection) ([]volumeFile, error) {
	data, err := m.src.configMap(s.Name, s.Optional)
	if err != nil {
		return nil, err
	}
	return pick("configmap", s.Name, data, s.Items, s.Optional)
}

func (m *volumeMaker) downwardFiles(items []corev1.DownwardAPIVolumeFile) ([]volumeFile, error) {
	var out []volumeFile
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = m.src.field(item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = m.src.resource(item.ResourceFieldRef, &corev1.Container{})
		}
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", item.Path, err)
		}
		out = append(out, volumeFile{path: item.Path, data: []byte(value), mode: item.Mode})
	}
	return out, nil
}

func (m *volumeMaker) projectedFiles(v *corev1.ProjectedVolumeSource) ([]volumeFile, error) {
	var out []volumeFile
	for _, s := range v.Sources {
		var files []volumeFile
		var err error
		switch {
		case s.Secret != nil:
			files, err = m.secretFiles(s.Secret)
		case s.ConfigMap != nil:
			files, err = m.configMapFiles(s.ConfigMap)
		case s.DownwardAPI != nil:
			files, err = m.downwardFiles(s.DownwardAPI.Items)
		case s.ServiceAccountToken != nil:
			files, err = m.token(s.ServiceAccountToken)
		default:
			err = errors.New("this node does not provide this kind of source")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	return out, nil
}

// token asks the API for a token of the pod's service account. It is not
// renewed: jobs are shorter than the hour it lasts at least.
func (m *volumeMaker) token(s *corev1.ServiceAccountTokenProjection) ([]volumeFile, error) {
	pod := m.src.pod
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if s.Audience != "" {
		req.Spec.Audiences = []string{s.Audience}
	}
	got, err := m.src.p.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(m.src.ctx, account, req, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("token for service account %q: %w", account, err)
	}
	return []volumeFile{{path: s.Path, data: []byte(got.Status.Token)}}, nil
}

// hostPath checks, and makes where asked, a directory or file of the machine.
func (m *volumeMaker) hostPath(h *corev1.HostPathVolumeSource) error {
	if !hostPathAllowed(h.Path, m.opts.HostPaths) {
		return fmt.Errorf("host path %s is not allowed on this node", h.Path)
	}
	kind := corev1.HostPathUnset
	if h.Type != nil {
		kind = *h.Type
	}
	switch kind {
	case corev1.HostPathDirectoryOrCreate:
		if err := os.MkdirAll(h.Path, 0o755); err != nil {
			return err
		}
	case corev1.HostPathFileOrCreate:
		f, err := os.OpenFile(h.Path, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	st, err := os.Stat(h.Path)
	if err != nil {
		return err
	}
	// An allowed directory must not be left through a link in it.
	if real, err := filepath.EvalSymlinks(h.Path); err != nil || !hostPathAllowed(real, m.opts.HostPaths) {
		return fmt.Errorf("host path %s leads to %s, which is not allowed on this node", h.Path, real)
	}
	switch kind {
	case corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate:
		if !st.IsDir() {
			return fmt.Errorf("host path %s is no directory", h.Path)
		}
	case corev1.HostPathFile, corev1.HostPathFileOrCreate:
		if !st.Mode().IsRegular() {
			return fmt.Errorf("host path %s is no file", h.Path)
		}
	case corev1.HostPathSocket:
		if st.Mode()&fs.ModeSocket == 0 {
			return fmt.Errorf("host path %s is no socket", h.Path)
		}
	}
	return nil
}

// writeFiles writes the files of a volume, unless they could not be read.
func writeFiles(dir string, files []volumeFile, readErr error, defaultMode *int32) error {
	if readErr != nil {
		return nil
	}
	if err := mkdirMode(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		// The API server has checked these paths; a second look is cheap.
		if !filepath.IsLocal(f.path) {
			return fmt.Errorf("path %q leaves the volume", f.path)
		}
		mode := fs.FileMode(0o644)
		switch {
		case f.mode != nil:
			mode = fs.FileMode(*f.mode)
		case defaultMode != nil:
			mode = fs.FileMode(*defaultMode)
		}
		path := filepath.Join(dir, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeMode(path, f.data, mode); err != nil {
			return err
		}
	}
	return nil
}

// writeMode writes a file with exactly this mode, whatever the umask. An older
// file is replaced, as its mode may forbid writing.
func writeMode(path string, data []byte, mode fs.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode.Perm())
}

func mkdirMode(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// own gives a volume to the pod's fsGroup, if this program may do that.
func (m *volumeMaker) own(path string) error {
	sc := m.src.pod.Spec.SecurityContext
	if sc == nil || sc.FSGroup == nil || os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(p, -1, int(*sc.FSGroup)); err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil || st.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		mode := st.Mode().Perm() | 0o060
		if d.IsDir() {
			mode |= 0o010 | fs.ModeSetgid
		} else {
			mode = st.Mode().Perm() | 0o040
		}
		return os.Chmod(p, mode)
	})
}

// mounts are the mounts of a container. lookup expands subPathExpr.
func (v *volumes) mounts(c *corev1.Container, lookup func(string) (string, error)) ([]executor.Mount, error) {
	var out []executor.Mount
	for _, m := range c.VolumeMounts {
		source, ok := v.sources[m.Name]
		if !ok {
			return nil, executor.Failed(executor.ReasonConfig, "container mounts volume %q, which the pod does not have", m.Name)
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			var err error
			if sub, err = lookup(m.SubPathExpr); err != nil {
				return nil, executor.Failed(executor.ReasonConfig, "subPathExpr %q: %v", m.SubPathExpr, err)
			}
		}
		if sub != "" {
			var err error
			if source, err = subPath(source, sub, v.readOnly[m.Name]); err != nil {
				return nil, executor.Failed(executor.ReasonConfig, "subPath %q of volume %q: %v", sub, m.Name, err)
			}
		}
		target := m.MountPath
		if !filepath.IsAbs(target) {
			target = "/" + target
		}
		out = append(out, executor.Mount{Source: source, Target: filepath.Clean(target), ReadOnly: m.ReadOnly || v.readOnly[m.Name]})
	}
	return out, nil
}

// subPath resolves a path inside a volume without leaving it through links, and
// makes a missing directory in a writable volume.
func subPath(volume, sub string, readOnly bool) (string, error) {
	if !filepath.IsLocal(sub) {
		return "", errors.New("the path leaves the volume")
	}
	path, err := securejoin.SecureJoin(volume, sub)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !readOnly {
		root, err := os.OpenRoot(volume)
		if err != nil {
			return "", err
		}
		defer root.Close()
		rel, err := filepath.Rel(volume, path)
		if err != nil {
			return "", err
		}
		return path, root.MkdirAll(rel, 0o777)
	}
	return path, err
}

// removeAll is os.RemoveAll that also removes what a job has protected against
// its own user.
func removeAll(path string) error {
	if err := os.RemoveAll(path); err == nil {
		return nil
	}
	// Best effort: what cannot be opened up is named by the second try.
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			if os.Chmod(p, 0o700) == nil && err != nil {
				return nil
			}
		}
		return nil
	})
	return os.RemoveAll(path)
}
