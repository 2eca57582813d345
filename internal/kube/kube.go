// Package kube reaches the clusters of an installation: the service cluster,
// where ProwJobs live, and the build clusters, where their pods run.
//
// Each context of the given kubeconfig files is a cluster alias. Two aliases
// are reserved: "" is the service cluster, "default" the default build cluster,
// which is the service cluster unless a context has that name.
package kube

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	prowv1 "prow/api/prowjobs/v1"
)

// Aliases with a meaning of their own.
const (
	// ServiceCluster is the alias of the cluster where ProwJobs live.
	ServiceCluster = ""
	// DefaultBuildCluster is the alias of the default build cluster.
	DefaultBuildCluster = prowv1.DefaultClusterAlias
)

// Flags is the flag group of components that talk to Kubernetes.
type Flags struct {
	Kubeconfig         string
	KubeconfigDir      string
	KubeconfigSuffix   string
	ProjectedTokenFile string
	NoInClusterConfig  bool
}

// Bind registers the flags.
func (f *Flags) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "Kubeconfig file whose contexts are cluster aliases. Empty: the usual places.")
	fs.StringVar(&f.KubeconfigDir, "kubeconfig-dir", "", "Directory with further kubeconfig files.")
	fs.StringVar(&f.KubeconfigSuffix, "kubeconfig-suffix", "", "Only files of --kubeconfig-dir with this suffix are read.")
	fs.StringVar(&f.ProjectedTokenFile, "projected-token-file", "", "Token to use in the cluster instead of the mounted one.")
	fs.BoolVar(&f.NoInClusterConfig, "no-in-cluster-config", false, "Do not use the cluster this program runs in.")
}

// Validate checks that the named files and directories exist.
func (f *Flags) Validate() error {
	var errs []error
	if f.Kubeconfig != "" {
		if _, err := os.Stat(f.Kubeconfig); err != nil {
			errs = append(errs, fmt.Errorf("--kubeconfig: %w", err))
		}
	}
	if f.KubeconfigDir != "" {
		if info, err := os.Stat(f.KubeconfigDir); err != nil {
			errs = append(errs, fmt.Errorf("--kubeconfig-dir: %w", err))
		} else if !info.IsDir() {
			errs = append(errs, fmt.Errorf("--kubeconfig-dir: %s is not a directory", f.KubeconfigDir))
		}
	} else if f.KubeconfigSuffix != "" {
		errs = append(errs, errors.New("--kubeconfig-suffix needs --kubeconfig-dir"))
	}
	return errors.Join(errs...)
}

// Clusters are the configurations of all clusters by alias.
type Clusters map[string]*rest.Config

// Service is the configuration of the service cluster.
func (c Clusters) Service() *rest.Config { return c[ServiceCluster] }

// Build are the configurations of the build clusters, without the service
// cluster's own alias.
func (c Clusters) Build() map[string]*rest.Config {
	out := maps.Clone(map[string]*rest.Config(c))
	delete(out, ServiceCluster)
	return out
}

// Load reads the configurations of all clusters. Contexts in disabled are left
// out. agent becomes the User-Agent of every client.
func (f *Flags) Load(agent string, disabled []string) (Clusters, error) {
	inCluster, inClusterErr := f.inCluster()
	contexts, current, err := f.contexts(disabled)
	if err != nil {
		return nil, err
	}
	clusters := Clusters{}
	maps.Copy(clusters, contexts)
	switch {
	case f.NoInClusterConfig:
		if contexts[current] == nil {
			return nil, fmt.Errorf("no kubeconfig names a current context (%q)", current)
		}
		clusters[ServiceCluster] = contexts[current]
	case inCluster != nil:
		clusters[ServiceCluster] = inCluster
	case contexts[current] != nil:
		clusters[ServiceCluster] = contexts[current]
	default:
		return nil, fmt.Errorf("no cluster to work with: no kubeconfig has a current context, and this is no pod (%w)", inClusterErr)
	}
	if clusters[DefaultBuildCluster] == nil {
		clusters[DefaultBuildCluster] = rest.CopyConfig(clusters[ServiceCluster])
	}
	for alias, config := range clusters {
		clusters[alias] = tuned(config, agent)
	}
	return clusters, nil
}

func (f *Flags) inCluster() (*rest.Config, error) {
	if f.NoInClusterConfig {
		return nil, errors.New("--no-in-cluster-config is set")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	if f.ProjectedTokenFile != "" {
		config.BearerToken, config.BearerTokenFile = "", f.ProjectedTokenFile
	}
	return config, nil
}

// contexts reads every context of every file. The current one is that of the
// last file whose current context is not disabled.
func (f *Flags) contexts(disabled []string) (map[string]*rest.Config, string, error) {
	files, err := f.files()
	if err != nil {
		return nil, "", err
	}
	out, current := map[string]*rest.Config{}, ""
	if len(files) == 0 {
		raw, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
		if err != nil {
			return nil, "", fmt.Errorf("load the default kubeconfig: %w", err)
		}
		for name := range raw.Contexts {
			if slices.Contains(disabled, name) {
				continue
			}
			config, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, nil, nil).ClientConfig()
			if err != nil {
				return nil, "", fmt.Errorf("default kubeconfig, context %s: %w", name, err)
			}
			out[name] = config
		}
		return out, raw.CurrentContext, nil
	}
	source := map[string]string{}
	for _, file := range files {
		raw, err := clientcmd.LoadFromFile(file)
		if err != nil {
			return nil, "", fmt.Errorf("kubeconfig %s: %w", file, err)
		}
		if err := clientcmd.ResolveLocalPaths(raw); err != nil {
			return nil, "", fmt.Errorf("kubeconfig %s: %w", file, err)
		}
		for name := range raw.Contexts {
			if other, taken := source[name]; taken {
				return nil, "", fmt.Errorf("context %s is in kubeconfig %s and in %s", name, other, file)
			}
			source[name] = file
			if slices.Contains(disabled, name) {
				continue
			}
			config, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, nil, nil).ClientConfig()
			if err != nil {
				return nil, "", fmt.Errorf("kubeconfig %s, context %s: %w", file, name, err)
			}
			out[name] = config
		}
		if !slices.Contains(disabled, raw.CurrentContext) {
			current = raw.CurrentContext
		}
	}
	return out, current, nil
}

func (f *Flags) files() ([]string, error) {
	var files []string
	if f.Kubeconfig != "" {
		files = append(files, f.Kubeconfig)
	}
	if f.KubeconfigDir == "" {
		return files, nil
	}
	entries, err := os.ReadDir(f.KubeconfigDir)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig-dir: %w", err)
	}
	for _, e := range entries {
		// Entries with two dots are the machinery of a mounted ConfigMap or Secret.
		if strings.HasPrefix(e.Name(), "..") || !strings.HasSuffix(e.Name(), f.KubeconfigSuffix) {
			continue
		}
		path := filepath.Join(f.KubeconfigDir, e.Name())
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("--kubeconfig-dir: %w", err)
		} else if !info.IsDir() {
			files = append(files, path)
		}
	}
	return files, nil
}

// Stamp changes when the content of any kubeconfig file may have changed, and
// when files come and go. A change of permissions alone does not count.
func (f *Flags) Stamp() string {
	files, err := f.files()
	if err != nil {
		return err.Error()
	}
	if len(files) == 0 {
		files = clientcmd.NewDefaultClientConfigLoadingRules().GetLoadingPrecedence()
	}
	var out strings.Builder
	for _, file := range files {
		// Mounted Secrets are switched by a link to another directory.
		target, err := filepath.EvalSymlinks(file)
		if err != nil {
			fmt.Fprintf(&out, "%s is missing\n", file)
			continue
		}
		info, err := os.Stat(target)
		if err != nil {
			fmt.Fprintf(&out, "%s is missing\n", file)
			continue
		}
		fmt.Fprintf(&out, "%s %s %d %d\n", file, target, info.Size(), info.ModTime().UnixNano())
	}
	return out.String()
}

// tuned names the client and lifts its own request limit: the API server's
// priority and fairness protects itself better than 5 requests a second would.
func tuned(config *rest.Config, agent string) *rest.Config {
	config = rest.CopyConfig(config)
	config.UserAgent = agent
	config.QPS = -1
	return config
}

// NewScheme knows the types of Kubernetes and ProwJobs.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), prowv1.AddToScheme(scheme))
}
