package doctor

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/storage/providers"
)

const (
	outputText = "text"
	outputJSON = "json"
)

// Options are the settings of doctor: those of the components, and what is examined.
type Options struct {
	Config     config.Options
	Plugins    pluginconfig.Options
	Kubernetes kube.Flags
	GitHub     github.Flags
	Storage    providers.Credentials

	// HookURL is where the forge sends webhooks; HMACFile holds what signs them.
	HookURL, HMACFile string
	// Components are those whose rights are examined.
	Components []string
	// ServiceAccounts is the namespace of their service accounts; empty is prowjob_namespace.
	ServiceAccounts string
	// Timeout bounds each examination.
	Timeout time.Duration
	Output  string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Plugins.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	o.Storage.Bind(fs)
	fs.StringVar(&o.HookURL, "hook-url", "", "URL to which the forge sends webhooks. Empty: webhooks are not examined.")
	fs.StringVar(&o.HMACFile, "hmac-secret-file", "", "File with the secrets that sign webhooks. Empty: it is not examined whether hook takes what is signed with them.")
	fs.StringSliceVar(&o.Components, "components", componentNames(), "Components whose rights in the service cluster are examined.")
	fs.StringVar(&o.ServiceAccounts, "service-account-namespace", "", "Namespace of the service accounts of the components, which are called like them. Empty: prowjob_namespace.")
	fs.DurationVar(&o.Timeout, "timeout", 20*time.Second, "Limit of each examination.")
	fs.StringVarP(&o.Output, "output", "o", outputText, "Form of the report: text or json.")
}

// Validate completes and checks the settings; it reports all problems at once.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.GitHub.Validate()}
	if u, err := url.Parse(o.HookURL); o.HookURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, fmt.Errorf("--hook-url=%q is not an http or https URL", o.HookURL))
	}
	if o.HMACFile != "" && o.HookURL == "" {
		errs = append(errs, errors.New("--hmac-secret-file needs --hook-url"))
	}
	for _, name := range o.Components {
		if !slices.Contains(componentNames(), name) {
			errs = append(errs, fmt.Errorf("--components: there is no %q; there are %s", name, strings.Join(componentNames(), ", ")))
		}
	}
	if o.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("--timeout=%v is not positive", o.Timeout))
	}
	if o.Output != outputText && o.Output != outputJSON {
		errs = append(errs, fmt.Errorf("--output=%s: expected %s or %s", o.Output, outputText, outputJSON))
	}
	return errors.Join(errs...)
}
