package plugins

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/owners"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/prowjob"
)

// Agent is what a handler gets: clients, and both configurations as they were
// when the event was dispatched.
type Agent struct {
	// GitHub calls the forge. Plugins declare the methods they use as interfaces
	// of their own and take those from here.
	GitHub *github.Client
	// ProwJobs reads and writes ProwJobs in Config.ProwJobNamespace.
	ProwJobs client.Client
	// InRepo answers which jobs a repository has, those it brings itself included.
	InRepo *config.InRepo
	// Git reads and merges commits of repositories in a cache of mirrors.
	Git *git.Cache
	// Cluster is a client for objects of a build cluster, "" and "default" being the
	// service cluster.
	Cluster func(name string) (client.Client, error)
	// ConfigMapSize is set to the bytes of each ConfigMap that is written, by name and namespace.
	ConfigMapSize *prometheus.GaugeVec
	// Owners answers who owns which file of a repository.
	Owners *owners.Client
	// Config and Plugins are the configurations.
	Config  *config.Config
	Plugins *pluginconfig.Configuration
	// Delivery is the id of the webhook delivery that is handled.
	Delivery string
	// Repeated: the delivery may have been handled in part before, by a process that
	// died. What the plugin finds may be its own doing, so that nobody is to be told
	// that they asked for what is there, or not there, already. GitHub does not
	// repeat comments and reviews by itself then.
	Repeated bool
	Now      func() time.Time
	// Log carries the fields of the event and the name of the plugin.
	Log *slog.Logger
}

// NameFor makes the name of an object that the handled delivery causes, the same
// one whenever the delivery is handled, so that it is created once.
func (a *Agent) NameFor(what string) string {
	return prowjob.StableName("delivery", a.Delivery, what)
}

// OwnersSettings is how the owners of repositories are told by both configurations.
func OwnersSettings(cfg *config.Config, pc *pluginconfig.Configuration) func(org, repo string) owners.Settings {
	return func(org, repo string) owners.Settings {
		names := pc.OwnersFilenames(org, repo)
		return owners.Settings{
			Owners: names.Owners, Aliases: names.OwnersAliases, Markdown: pc.MDYAMLEnabled(org, repo),
			DenyDirs: cfg.OwnersDenylist(org, repo), SkipCollaborators: pc.SkipsCollaborators(org, repo),
		}
	}
}
