package local

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations are applied in order; PRAGMA user_version counts the applied
// ones. A released entry is never edited: append instead. Times are unix
// milliseconds, 0 for "never".
var migrations = []string{`
CREATE TABLE accounts (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	login TEXT NOT NULL UNIQUE COLLATE NOCASE,
	kind TEXT NOT NULL,                          -- User, Bot, Organization
	name TEXT NOT NULL DEFAULT '',
	email TEXT NOT NULL DEFAULT '',
	admin INTEGER NOT NULL DEFAULT 0,            -- site administrator
	default_permission TEXT NOT NULL DEFAULT '', -- organisations: what members get on every repository
	created INTEGER NOT NULL
);
CREATE TABLE tokens (
	hash TEXT PRIMARY KEY,                       -- hex SHA-256: the database holds no usable token
	account_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	expires INTEGER NOT NULL DEFAULT 0,
	created INTEGER NOT NULL
);
CREATE TABLE members (
	org_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	role TEXT NOT NULL,                          -- admin, member
	PRIMARY KEY (org_id, user_id)
);
CREATE TABLE teams (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	org_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	slug TEXT NOT NULL COLLATE NOCASE,
	name TEXT NOT NULL,
	description TEXT NOT NULL DEFAULT '',
	privacy TEXT NOT NULL DEFAULT 'closed',
	parent_id INTEGER NOT NULL DEFAULT 0,
	UNIQUE (org_id, slug)
);
CREATE TABLE team_members (
	team_id INTEGER NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	role TEXT NOT NULL,                          -- maintainer, member
	PRIMARY KEY (team_id, user_id)
);
CREATE TABLE repos (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	owner_id INTEGER NOT NULL REFERENCES accounts(id),
	name TEXT NOT NULL COLLATE NOCASE,
	description TEXT NOT NULL DEFAULT '',
	private INTEGER NOT NULL DEFAULT 0,
	archived INTEGER NOT NULL DEFAULT 0,
	default_branch TEXT NOT NULL,
	parent_id INTEGER NOT NULL DEFAULT 0,        -- forked from
	allow_merge INTEGER NOT NULL DEFAULT 1,
	allow_squash INTEGER NOT NULL DEFAULT 1,
	allow_rebase INTEGER NOT NULL DEFAULT 1,
	delete_branch INTEGER NOT NULL DEFAULT 0,    -- delete head branches after merging
	last_number INTEGER NOT NULL DEFAULT 0,      -- of issues and pull requests
	pusher_id INTEGER NOT NULL DEFAULT 0,        -- who moved refs last; noted before they move
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	pushed INTEGER NOT NULL DEFAULT 0,
	UNIQUE (owner_id, name)
);
CREATE TABLE team_repos (
	team_id INTEGER NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	permission TEXT NOT NULL,
	PRIMARY KEY (team_id, repo_id)
);
CREATE TABLE collaborators (
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	permission TEXT NOT NULL,
	PRIMARY KEY (repo_id, user_id)
);
CREATE TABLE refs (
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	sha TEXT NOT NULL,
	PRIMARY KEY (repo_id, name)
);
CREATE TABLE protections (
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	branch TEXT NOT NULL,
	rules TEXT NOT NULL,                         -- JSON
	PRIMARY KEY (repo_id, branch)
);
CREATE TABLE labels (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	name TEXT NOT NULL COLLATE NOCASE,
	color TEXT NOT NULL,
	description TEXT NOT NULL DEFAULT '',
	UNIQUE (repo_id, name)
);
CREATE TABLE milestones (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	title TEXT NOT NULL,
	description TEXT NOT NULL DEFAULT '',
	state TEXT NOT NULL DEFAULT 'open',
	creator_id INTEGER NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	due INTEGER NOT NULL DEFAULT 0,
	closed INTEGER NOT NULL DEFAULT 0,
	UNIQUE (repo_id, number)
);
CREATE TABLE issues (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	is_pull INTEGER NOT NULL,
	author_id INTEGER NOT NULL,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	state TEXT NOT NULL DEFAULT 'open',
	state_reason TEXT NOT NULL DEFAULT '',
	locked INTEGER NOT NULL DEFAULT 0,
	milestone_id INTEGER NOT NULL DEFAULT 0,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	closed INTEGER NOT NULL DEFAULT 0,
	closed_by INTEGER NOT NULL DEFAULT 0,
	UNIQUE (repo_id, number)
);
CREATE INDEX issues_state ON issues (repo_id, state, is_pull);
CREATE TABLE pulls (
	issue_id INTEGER PRIMARY KEY REFERENCES issues(id) ON DELETE CASCADE,
	head_repo_id INTEGER NOT NULL,
	head_ref TEXT NOT NULL,
	head_sha TEXT NOT NULL,
	base_ref TEXT NOT NULL,
	base_sha TEXT NOT NULL,
	draft INTEGER NOT NULL DEFAULT 0,
	modify INTEGER NOT NULL DEFAULT 0,           -- maintainer_can_modify
	merged INTEGER NOT NULL DEFAULT 0,           -- when
	merged_by INTEGER NOT NULL DEFAULT 0,
	merge_sha TEXT NOT NULL DEFAULT '',
	additions INTEGER NOT NULL DEFAULT 0,
	deletions INTEGER NOT NULL DEFAULT 0,
	files INTEGER NOT NULL DEFAULT 0,
	commits INTEGER NOT NULL DEFAULT 0,
	intent_sha TEXT NOT NULL DEFAULT '',         -- the commit a merge is about to put on the base branch
	intent_by INTEGER NOT NULL DEFAULT 0,
	checked_base TEXT NOT NULL DEFAULT '',       -- mergeable was computed for this base tip
	checked_head TEXT NOT NULL DEFAULT '',       -- and this head
	mergeable INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX pulls_head ON pulls (head_repo_id, head_ref);
CREATE INDEX pulls_sha ON pulls (head_sha);
CREATE TABLE issue_labels (
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,
	PRIMARY KEY (issue_id, label_id)
);
CREATE TABLE assignees (
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	PRIMARY KEY (issue_id, user_id)
);
CREATE TABLE review_requests (
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL DEFAULT 0,          -- one of the two is set
	team_id INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (issue_id, user_id, team_id)
);
CREATE TABLE comments (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	author_id INTEGER NOT NULL,
	body TEXT NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
);
CREATE INDEX comments_issue ON comments (issue_id);
CREATE TABLE reviews (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	author_id INTEGER NOT NULL,
	state TEXT NOT NULL,                         -- APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING
	body TEXT NOT NULL,
	sha TEXT NOT NULL,
	submitted INTEGER NOT NULL
);
CREATE INDEX reviews_issue ON reviews (issue_id);
CREATE TABLE review_comments (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	review_id INTEGER NOT NULL,
	author_id INTEGER NOT NULL,
	path TEXT NOT NULL,
	position INTEGER NOT NULL DEFAULT 0,
	line INTEGER NOT NULL DEFAULT 0,
	side TEXT NOT NULL DEFAULT 'RIGHT',
	hunk TEXT NOT NULL DEFAULT '',
	sha TEXT NOT NULL,
	reply_to INTEGER NOT NULL DEFAULT 0,
	body TEXT NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
);
CREATE INDEX review_comments_issue ON review_comments (issue_id);
CREATE TABLE events (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	issue_id INTEGER NOT NULL REFERENCES issues(id) ON DELETE CASCADE,
	actor_id INTEGER NOT NULL,
	event TEXT NOT NULL,
	subject_id INTEGER NOT NULL DEFAULT 0,       -- assignee or requested reviewer
	label TEXT NOT NULL DEFAULT '',
	color TEXT NOT NULL DEFAULT '',
	sha TEXT NOT NULL DEFAULT '',
	before TEXT NOT NULL DEFAULT '',
	after TEXT NOT NULL DEFAULT '',
	created INTEGER NOT NULL
);
CREATE INDEX events_issue ON events (issue_id);
CREATE TABLE reactions (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	target TEXT NOT NULL,                        -- issue or comment
	target_id INTEGER NOT NULL,
	user_id INTEGER NOT NULL,
	content TEXT NOT NULL,
	created INTEGER NOT NULL,
	UNIQUE (target, target_id, user_id, content)
);
CREATE TABLE statuses (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	sha TEXT NOT NULL,
	context TEXT NOT NULL,
	state TEXT NOT NULL,
	description TEXT NOT NULL DEFAULT '',
	target_url TEXT NOT NULL DEFAULT '',
	creator_id INTEGER NOT NULL,
	created INTEGER NOT NULL
);
CREATE INDEX statuses_sha ON statuses (repo_id, sha, context);
CREATE TABLE check_runs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	sha TEXT NOT NULL,
	name TEXT NOT NULL,
	status TEXT NOT NULL,
	conclusion TEXT NOT NULL DEFAULT '',
	details_url TEXT NOT NULL DEFAULT '',
	external_id TEXT NOT NULL DEFAULT '',
	output TEXT NOT NULL DEFAULT '{}',           -- JSON
	creator_id INTEGER NOT NULL,
	started INTEGER NOT NULL,
	completed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX check_runs_sha ON check_runs (repo_id, sha);
CREATE TABLE hooks (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	org_id INTEGER NOT NULL DEFAULT 0,           -- one of the two is set
	repo_id INTEGER NOT NULL DEFAULT 0,
	url TEXT NOT NULL,
	secret TEXT NOT NULL,
	events TEXT NOT NULL,                        -- JSON list
	active INTEGER NOT NULL DEFAULT 1,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
);
CREATE TABLE deliveries (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	hook_id INTEGER NOT NULL REFERENCES hooks(id) ON DELETE CASCADE,
	repo_id INTEGER NOT NULL DEFAULT 0,
	guid TEXT NOT NULL,
	event TEXT NOT NULL,
	action TEXT NOT NULL DEFAULT '',
	payload BLOB NOT NULL,
	state TEXT NOT NULL DEFAULT 'pending',       -- pending, delivered, dead
	redelivery INTEGER NOT NULL DEFAULT 0,
	attempts INTEGER NOT NULL DEFAULT 0,
	next INTEGER NOT NULL,                       -- not before
	code INTEGER NOT NULL DEFAULT 0,
	response TEXT NOT NULL DEFAULT '',           -- start of the answer, or the transport error
	duration INTEGER NOT NULL DEFAULT 0,         -- milliseconds of the last attempt
	created INTEGER NOT NULL,
	tried INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_pending ON deliveries (hook_id, repo_id, id) WHERE state = 'pending';
CREATE INDEX deliveries_hook ON deliveries (hook_id, id);
`, `
ALTER TABLE accounts ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';      -- JSON, see settings.go
ALTER TABLE repos ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';         -- JSON
ALTER TABLE repos ADD COLUMN copying INTEGER NOT NULL DEFAULT 0;          -- a fork whose content is not there yet
ALTER TABLE teams ADD COLUMN permission TEXT NOT NULL DEFAULT 'pull';     -- what repositories get when none is named
ALTER TABLE issues ADD COLUMN lock_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE issues ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;          -- when
ALTER TABLE review_comments ADD COLUMN start_line INTEGER NOT NULL DEFAULT 0;
ALTER TABLE review_comments ADD COLUMN start_side TEXT NOT NULL DEFAULT '';
ALTER TABLE review_comments ADD COLUMN subject TEXT NOT NULL DEFAULT 'line';
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '';            -- "" for all
ALTER TABLE hooks ADD COLUMN content_type TEXT NOT NULL DEFAULT 'json';
ALTER TABLE check_runs ADD COLUMN suite_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE check_suites (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	sha TEXT NOT NULL,
	branch TEXT NOT NULL DEFAULT '',
	creator_id INTEGER NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	UNIQUE (repo_id, sha, creator_id)
);
INSERT INTO check_suites (repo_id, sha, creator_id, created, updated) SELECT DISTINCT repo_id, sha, creator_id, min(started), min(started) FROM check_runs GROUP BY repo_id, sha, creator_id;
UPDATE check_runs SET suite_id = (SELECT id FROM check_suites s WHERE s.repo_id = check_runs.repo_id AND s.sha = check_runs.sha AND s.creator_id = check_runs.creator_id);
CREATE TABLE org_invitations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	org_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL DEFAULT 0,          -- 0 for invitations by e-mail
	email TEXT NOT NULL DEFAULT '',
	role TEXT NOT NULL,                          -- direct_member, admin, billing_manager
	inviter_id INTEGER NOT NULL,
	created INTEGER NOT NULL,
	failed INTEGER NOT NULL DEFAULT 0,           -- when
	reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX org_invitations_org ON org_invitations (org_id, user_id);
CREATE TABLE team_invitations (
	invitation_id INTEGER NOT NULL REFERENCES org_invitations(id) ON DELETE CASCADE,
	team_id INTEGER NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
	role TEXT NOT NULL,
	PRIMARY KEY (invitation_id, team_id)
);
CREATE TABLE repo_invitations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	user_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	permission TEXT NOT NULL,
	inviter_id INTEGER NOT NULL,
	created INTEGER NOT NULL,
	UNIQUE (repo_id, user_id)
);
CREATE TABLE repo_redirects (                    -- former names of repositories
	owner_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	name TEXT NOT NULL COLLATE NOCASE,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	PRIMARY KEY (owner_id, name)
);
CREATE TABLE workflow_runs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	path TEXT NOT NULL,
	number INTEGER NOT NULL,
	attempt INTEGER NOT NULL DEFAULT 1,
	event TEXT NOT NULL,
	branch TEXT NOT NULL,
	sha TEXT NOT NULL,
	status TEXT NOT NULL,
	conclusion TEXT NOT NULL DEFAULT '',
	actor_id INTEGER NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
);
CREATE INDEX workflow_runs_sha ON workflow_runs (repo_id, sha);
CREATE TABLE workflow_jobs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	run_id INTEGER NOT NULL REFERENCES workflow_runs(id) ON DELETE CASCADE,
	attempt INTEGER NOT NULL DEFAULT 1,
	name TEXT NOT NULL,
	status TEXT NOT NULL,
	conclusion TEXT NOT NULL DEFAULT '',
	started INTEGER NOT NULL,
	completed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX workflow_jobs_run ON workflow_jobs (run_id);
`, `
CREATE TABLE apps (                              -- GitHub Apps
	id INTEGER PRIMARY KEY,                      -- chosen by the seed, or given
	slug TEXT NOT NULL UNIQUE COLLATE NOCASE,
	name TEXT NOT NULL,
	client_id TEXT NOT NULL UNIQUE,
	owner_id INTEGER NOT NULL,
	bot_id INTEGER NOT NULL UNIQUE,              -- the account that acts: <slug>[bot]
	key TEXT NOT NULL,                           -- PEM of the public key
	permissions TEXT NOT NULL DEFAULT '{}',      -- JSON
	events TEXT NOT NULL DEFAULT '[]',           -- JSON list
	url TEXT NOT NULL DEFAULT '',                -- of its webhook
	secret TEXT NOT NULL DEFAULT '',
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
);
CREATE TABLE installations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	app_id INTEGER NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
	account_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	selected INTEGER NOT NULL DEFAULT 0,         -- only the repositories below
	permissions TEXT NOT NULL,                   -- JSON
	suspended INTEGER NOT NULL DEFAULT 0,        -- when
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	UNIQUE (app_id, account_id)
);
CREATE TABLE installation_repos (
	installation_id INTEGER NOT NULL REFERENCES installations(id) ON DELETE CASCADE,
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	PRIMARY KEY (installation_id, repo_id)
);
ALTER TABLE tokens ADD COLUMN installation_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN permissions TEXT NOT NULL DEFAULT '{}';     -- JSON, of an installation token
ALTER TABLE tokens ADD COLUMN repos TEXT NOT NULL DEFAULT 'null';         -- JSON list of ids, null for all
ALTER TABLE hooks ADD COLUMN app_id INTEGER NOT NULL DEFAULT 0;           -- the webhook of an App
ALTER TABLE deliveries ADD COLUMN installation_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tokens_installation ON tokens (installation_id) WHERE installation_id != 0;
`, `
CREATE TABLE rulesets (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	org_id INTEGER NOT NULL DEFAULT 0,           -- one of the two is set
	repo_id INTEGER NOT NULL DEFAULT 0,
	name TEXT NOT NULL,
	target TEXT NOT NULL,                        -- branch, tag, push
	enforcement TEXT NOT NULL,                   -- active, disabled, evaluate
	bypass TEXT NOT NULL,                        -- JSON
	conditions TEXT NOT NULL,                    -- JSON
	rules TEXT NOT NULL,                         -- JSON
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL
);
CREATE INDEX rulesets_repo ON rulesets (repo_id);
CREATE INDEX rulesets_org ON rulesets (org_id);
CREATE TABLE issue_redirects (                   -- where issues were before
	repo_id INTEGER NOT NULL REFERENCES repos(id) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	issue_id INTEGER NOT NULL,                   -- 0 for deleted ones
	PRIMARY KEY (repo_id, number)
);
CREATE INDEX deliveries_held ON deliveries (next) WHERE state = 'held';   -- by a fault
`, `
ALTER TABLE refs ADD COLUMN pusher_id INTEGER NOT NULL DEFAULT 0;         -- who moved it last, 0 when not known
`, `
CREATE TABLE oauth_apps (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	client_id TEXT NOT NULL UNIQUE,
	secret TEXT NOT NULL,                        -- hex SHA-256
	name TEXT NOT NULL,
	owner_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	callback TEXT NOT NULL,
	created INTEGER NOT NULL
);
CREATE TABLE oauth_codes (
	hash TEXT PRIMARY KEY,                       -- hex SHA-256
	app_id INTEGER NOT NULL REFERENCES oauth_apps(id) ON DELETE CASCADE,
	account_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	scopes TEXT NOT NULL,
	redirect TEXT NOT NULL,
	challenge TEXT NOT NULL,                     -- of PKCE, '' without
	expires INTEGER NOT NULL
);
`}

// migrate brings the database to the newest schema, or refuses one that a
// newer program wrote.
func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading schema version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("database has schema version %d, this program knows up to %d: it was written by a newer version", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("migrating schema: %w", err)
		}
		_, err = tx.ExecContext(ctx, migrations[version])
		if err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1))
		}
		if err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
		if err != nil {
			return fmt.Errorf("migrating schema to version %d: %w", version+1, err)
		}
	}
	return nil
}
