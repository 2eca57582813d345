package plugins

// Labels that plugins set and other parts, such as tide, wait for.
const (
	LabelBlockedPaths         = "do-not-merge/blocked-paths"
	LabelInvalidCommitMessage = "do-not-merge/invalid-commit-message"
	LabelMergeCommits         = "do-not-merge/contains-merge-commits"
	LabelApproved             = "approved"
	LabelLGTM                 = "lgtm"
	LabelHold                 = "do-not-merge/hold"
	LabelWorkInProgress       = "do-not-merge/work-in-progress"
	LabelNeedsOkToTest        = "needs-ok-to-test"
	LabelOkToTest             = "ok-to-test"
	LabelHelpWanted           = "help wanted"
	LabelGoodFirstIssue       = "good first issue"

	LabelReleaseNoteNeeded         = "do-not-merge/release-note-label-needed"
	LabelReleaseNote               = "release-note"
	LabelReleaseNoteNone           = "release-note-none"
	LabelReleaseNoteActionRequired = "release-note-action-required"
	LabelDeprecation               = "kind/deprecation"
	LabelCherryPickNotApproved     = "do-not-merge/cherry-pick-not-approved"
	LabelCherryPickApproved        = "cherry-pick-approved"
	LabelInvalidOwnersFile         = "do-not-merge/invalid-owners-file"
	LabelInvalidBug                = "bugzilla/invalid-bug"
	LabelNeedsRebase               = "needs-rebase"
	LabelCLAYes                    = "cncf-cla: yes"
	LabelCLANo                     = "cncf-cla: no"
	LabelDCOYes                    = "dco-signoff: yes"
	LabelDCONo                     = "dco-signoff: no"
)
