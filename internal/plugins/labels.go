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
)
