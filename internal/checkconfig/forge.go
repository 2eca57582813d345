package checkconfig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/secret"
	"prow/internal/service"
)

// forge asks GitHub, with a token or as an app.
type forge struct {
	*github.Client
	// installations are those of the app, by org in lower case; empty with a token.
	installations map[string]github.Installation
}

// forge connects to GitHub, which takes credentials.
func (in *input) forge(ctx context.Context) (*forge, error) {
	flags := &in.options.GitHub
	if flags.TokenPath == "" && flags.AppID == "" {
		return nil, errors.New("GitHub must be asked, which needs --github-token-path, or --github-app-id and --github-app-private-key-path")
	}
	secrets := new(secret.Store)
	log := service.NewLogger(in.env.Stderr, slog.LevelWarn, secrets)
	client, err := flags.Client("checkconfig/"+service.Version(), false, secrets, log)
	if err != nil {
		return nil, fmt.Errorf("connecting to GitHub: %w", err)
	}
	f := &forge{Client: client}
	if flags.AppID == "" {
		return f, nil
	}
	list, err := client.ListAppInstallations(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking GitHub where the app %s is installed: %w", flags.AppID, err)
	}
	f.installations = map[string]github.Installation{}
	for _, i := range list {
		f.installations[strings.ToLower(i.Account.Login)] = i
	}
	return f, nil
}
