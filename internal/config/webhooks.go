package config

import (
	"maps"
	"slices"
	"time"
)

// ManagedWebhooks configures the component that keeps webhook secrets.
type ManagedWebhooks struct {
	// RespectLegacyGlobalToken keeps the global token in use. Default: false.
	RespectLegacyGlobalToken bool `json:"respect_legacy_global_token"`
	// AutoAcceptInvitation accepts invitations to managed repositories. Default:
	// false.
	AutoAcceptInvitation bool `json:"auto_accept_invitation"`
	// OrgRepoConfig maps an org or "org/repo" to its settings.
	OrgRepoConfig map[string]ManagedWebhookInfo `json:"org_repo_config,omitempty"`
}

// ManagedWebhookInfo says when the token of an org or repository was made.
type ManagedWebhookInfo struct {
	// TokenCreatedAfter is an RFC 3339 time; older tokens are replaced. It must
	// not lie in the future.
	TokenCreatedAfter time.Time `json:"token_created_after"`
}

func (m *ManagedWebhooks) check(s *sectionContext) {
	for _, key := range slices.Sorted(maps.Keys(m.OrgRepoConfig)) {
		if created := m.OrgRepoConfig[key].TokenCreatedAfter; created.After(s.now) {
			s.report("managed_webhooks.org_repo_config."+key+".token_created_after", "found %s, expected a time that is not in the future", created.Format(time.RFC3339))
		}
	}
}
