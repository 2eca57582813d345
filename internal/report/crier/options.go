package crier

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"prow/internal/config"
	forge "prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/report/slack"
	"prow/internal/storage/providers"
)

// Options of the component.
type Options struct {
	Config     config.Options
	Kubernetes kube.Flags
	GitHub     forge.Flags
	Enablement forge.EnablementFlags
	Storage    providers.Credentials

	GitHubWorkers, GerritWorkers, PubSubWorkers, SlackWorkers, BlobStorageWorkers, KubernetesBlobStorageWorkers, ResultStoreWorkers int

	// CookieFile authenticates to Gerrit.
	CookieFile                   string
	GerritMaxQPS, GerritMaxBurst int
	// SlackTokenFile is for the workspace "*"; the additional ones are host=path.
	SlackTokenFile            string
	AdditionalSlackTokenFiles []string
	// SlackURL is where messages are posted.
	SlackURL string
	// KubernetesReportFraction is how many of the jobs the Kubernetes reporter takes.
	KubernetesReportFraction float64
	ResultStoreDirOnly       bool
	ReportAgent              string
	DryRun                   bool
	// NoLeaderElection is for a host that runs one instance and knows it.
	NoLeaderElection bool

	// kubeconfigPolling is how often the kubeconfig files are looked at.
	kubeconfigPolling time.Duration
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	o.Enablement.Bind(fs)
	o.Storage.Bind(fs)
	for _, w := range o.workers() {
		fs.IntVar(w.count, w.flag, 0, fmt.Sprintf("Number of workers that report %s; 0 is off.", w.where))
	}
	fs.StringVar(&o.CookieFile, "cookiefile", "", "Cookie file for Gerrit. Empty: anonymous.")
	fs.IntVar(&o.GerritMaxQPS, "gerrit-max-qps", 0, "Requests per second to Gerrit; 0 is no limit.")
	fs.IntVar(&o.GerritMaxBurst, "gerrit-max-burst", 0, "Requests to Gerrit at once, with --gerrit-max-qps.")
	fs.StringVar(&o.SlackTokenFile, "slack-token-file", "", "File with the token of the Slack workspace of configurations that name no host.")
	fs.StringArrayVar(&o.AdditionalSlackTokenFiles, "additional-slack-token-files", nil, "host=path of the token of a further Slack workspace, repeatable.")
	fs.StringVar(&o.SlackURL, "slack-url", slack.Endpoint, "URL to which Slack messages are posted.")
	fs.Float64Var(&o.KubernetesReportFraction, "kubernetes-report-fraction", 1, "Fraction of the jobs, from 0 to 1, whose pods are stored.")
	fs.BoolVar(&o.ResultStoreDirOnly, "resultstore-artifacts-dir-only", false, "Name only the directory of artifacts in ResultStore, not its files.")
	fs.StringVar(&o.ReportAgent, "report-agent", "", "Report to GitHub only the jobs of this agent.")
	fs.BoolVar(&o.DryRun, "dry-run", false, "Report and record nothing; log what would be reported.")
	// Existing deployments pass flags that never did anything.
	for _, old := range []string{"gerrit-projects", "num-workers"} {
		fs.String(old, "", "")
		_ = fs.MarkDeprecated(old, "it has no effect")
	}
}

// workers are the flags that enable reporters.
func (o *Options) workers() []struct {
	flag, where string
	count       *int
} {
	return []struct {
		flag, where string
		count       *int
	}{
		{"github-workers", "to GitHub", &o.GitHubWorkers},
		{"gerrit-workers", "to Gerrit", &o.GerritWorkers},
		{"pubsub-workers", "to Pub/Sub", &o.PubSubWorkers},
		{"slack-workers", "to Slack", &o.SlackWorkers},
		{"blob-storage-workers", "to blob storage", &o.BlobStorageWorkers},
		{"kubernetes-blob-storage-workers", "what Kubernetes knows of pods to blob storage", &o.KubernetesBlobStorageWorkers},
		{"resultstore-workers", "to ResultStore", &o.ResultStoreWorkers},
	}
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.Enablement.Validate()}
	total := 0
	for _, w := range o.workers() {
		if *w.count < 0 {
			errs = append(errs, fmt.Errorf("--%s must not be negative", w.flag))
		}
		total += max(0, *w.count)
	}
	if total == 0 {
		errs = append(errs, errors.New("no reporter is enabled: give a positive number to at least one of the flags that end in -workers"))
	}
	if o.GitHubWorkers > 0 {
		errs = append(errs, o.GitHub.Validate())
	}
	if o.GerritWorkers > 0 {
		errs = append(errs, o.validateGerrit())
	}
	if o.SlackWorkers > 0 {
		if o.SlackTokenFile == "" && len(o.AdditionalSlackTokenFiles) == 0 {
			errs = append(errs, errors.New("--slack-workers needs --slack-token-file or --additional-slack-token-files"))
		}
		_, err := o.slackFiles()
		errs = append(errs, err)
	}
	if f := o.KubernetesReportFraction; f < 0 || f > 1 {
		errs = append(errs, fmt.Errorf("--kubernetes-report-fraction=%v is not between 0 and 1", f))
	}
	return errors.Join(errs...)
}

func (o *Options) validateGerrit() error {
	if o.GerritMaxQPS < 0 || o.GerritMaxBurst < 0 {
		return errors.New("--gerrit-max-qps and --gerrit-max-burst must not be negative")
	}
	if o.CookieFile == "" {
		return nil
	}
	if _, err := os.Stat(o.CookieFile); err != nil {
		return fmt.Errorf("--cookiefile: %w", err)
	}
	return nil
}

// slackFiles are the token files by workspace.
func (o *Options) slackFiles() (map[string]string, error) {
	files := map[string]string{}
	if o.SlackTokenFile != "" {
		files[slack.DefaultHost] = o.SlackTokenFile
	}
	for _, v := range o.AdditionalSlackTokenFiles {
		host, path, ok := strings.Cut(v, "=")
		if !ok || host == "" || path == "" {
			return nil, fmt.Errorf("--additional-slack-token-files=%s is not of the form host=path", v)
		}
		if _, twice := files[host]; twice {
			return nil, fmt.Errorf("--additional-slack-token-files: host %s has two token files", host)
		}
		files[host] = path
	}
	return files, nil
}
