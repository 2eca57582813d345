package local

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"
)

// settings are those properties of a repository or organisation that the forge
// keeps and shows but does nothing with. They are stored where they differ
// from the defaults.
type settings map[string]any

func (s *settings) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("settings column holds %T", src)
	}
	*s = nil
	return json.Unmarshal([]byte(text), s)
}

func (s settings) Value() (driver.Value, error) {
	if s == nil {
		return "{}", nil
	}
	raw, err := json.Marshal(s)
	return string(raw), err
}

// repoDefaults are the settings of repositories with GitHub's defaults.
var repoDefaults = obj{
	"homepage": "", "has_issues": true, "has_projects": true, "has_wiki": true, "has_discussions": false, "is_template": false,
	"allow_auto_merge": false, "allow_update_branch": false, "allow_forking": true, "web_commit_signoff_required": false,
	"use_squash_pr_title_as_default": false, "squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "squash_merge_commit_message": "COMMIT_MESSAGES",
	"merge_commit_title": "MERGE_MESSAGE", "merge_commit_message": "PR_TITLE",
}

// orgDefaults are those of organisations.
var orgDefaults = obj{
	"billing_email": "", "company": "", "location": "", "description": "", "blog": "", "twitter_username": "",
	"has_organization_projects": true, "has_repository_projects": true, "members_can_create_repositories": true,
	"members_can_create_public_repositories": true, "members_can_create_private_repositories": true, "members_can_create_internal_repositories": true,
	"members_can_fork_private_repositories": false, "web_commit_signoff_required": false,
}

// merge takes the known fields of a request body. null leaves a field alone.
func (s settings) merge(defaults obj, body map[string]json.RawMessage, resource string) (settings, error) {
	out := settings{}
	maps.Copy(out, s)
	for name, def := range defaults {
		raw, ok := body[name]
		if !ok || string(raw) == "null" {
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil || fmt.Sprintf("%T", v) != fmt.Sprintf("%T", def) {
			return nil, invalid(resource, name, "invalid", "")
		}
		if text, ok := v.(string); ok && len(text) > maxTitle {
			return nil, invalid(resource, name, "invalid", "")
		}
		if out[name] = v; v == def {
			delete(out, name)
		}
	}
	return out, nil
}

// show writes all settings into an answer.
func (s settings) show(defaults, into obj) {
	maps.Copy(into, defaults)
	maps.Copy(into, s)
}

// flag reads a boolean setting.
func (s settings) flag(defaults obj, name string) bool {
	v, ok := s[name].(bool)
	if !ok {
		v, _ = defaults[name].(bool)
	}
	return v
}
