package pluginconfig

import (
	"fmt"
	"slices"
	"strings"
)

// ProjectConfig configures the plugin project.
type ProjectConfig struct {
	// Orgs maps an org to its settings.
	Orgs map[string]ProjectOrg `json:"project_org_configs,omitempty"`
}

// ProjectOrg are the settings of an org.
type ProjectOrg struct {
	// MaintainerTeamID is the number of the team that may move cards.
	MaintainerTeamID int `json:"org_maintainers_team_id,omitempty"`
	// ColumnMap maps a project to its default column.
	ColumnMap map[string]string `json:"org_default_column_map,omitempty"`
	// Repos maps a repository, without its org, to its settings.
	Repos map[string]ProjectRepo `json:"project_repo_configs,omitempty"`
}

// ProjectRepo are the settings of a repository; they hide those of its org.
type ProjectRepo struct {
	// MaintainerTeamID is the number of the team that may move cards.
	MaintainerTeamID int `json:"repo_maintainers_team_id,omitempty"`
	// ColumnMap maps a project to its default column.
	ColumnMap map[string]string `json:"repo_default_column_map,omitempty"`
}

// ProjectManager configures the plugin project-manager.
type ProjectManager struct {
	// OrgRepos maps an org or "org/repo" to its projects.
	OrgRepos map[string]ManagedOrgRepo `json:"orgsRepos,omitempty"`
}

// ManagedOrgRepo are the projects of an org or of a repository.
type ManagedOrgRepo struct {
	// Projects maps the name of a project to its columns; there is at least one.
	Projects map[string]ManagedProject `json:"projects,omitempty"`
}

// ManagedProject are the columns of a project.
type ManagedProject struct {
	// Columns say which cards go where; there is at least one.
	Columns []ManagedColumn `json:"columns,omitempty"`
}

// ManagedColumn says which cards go to a column.
type ManagedColumn struct {
	// ID is the number of the column; either it or Name is set.
	ID *int `json:"id,omitempty"`
	// Name is the name of the column.
	Name string `json:"name,omitempty"`
	// State is the state issues must have. Default: any.
	State string `json:"state,omitempty"`
	// Labels must all be present; there is at least one.
	Labels []string `json:"labels,omitempty"`
	// Org is the org whose issues are taken.
	Org string `json:"org,omitempty"`
}

func (m *ProjectManager) check(r *rules) {
	for _, key := range sortedKeys(m.OrgRepos) {
		field := "project_manager.orgsRepos." + key
		projects := m.OrgRepos[key].Projects
		if len(projects) == 0 {
			r.report(field+".projects", "missing, expected at least one project")
		}
		for _, name := range sortedKeys(projects) {
			checkColumns(field+".projects."+name+".columns", projects[name].Columns, r)
		}
	}
}

func checkColumns(field string, columns []ManagedColumn, r *rules) {
	if len(columns) == 0 {
		r.report(field, "missing, expected at least one column")
	}
	seen := map[string]int{}
	for i, c := range columns {
		at := fmt.Sprintf("%s[%d]", field, i)
		if c.ID == nil && c.Name == "" {
			r.report(at, "found neither id nor name, expected one of them")
		}
		if c.Org == "" {
			r.report(at+".org", "missing, expected an org")
		}
		if len(c.Labels) == 0 {
			r.report(at+".labels", "missing, expected at least one label")
			continue
		}
		labels := strings.Join(slices.Sorted(slices.Values(c.Labels)), ",")
		if first, dup := seen[labels]; dup {
			r.report(at+".labels", "found the labels of column %d as well, expected each set of labels once", first)
		}
		seen[labels] = i
	}
}
