package github

import (
	"fmt"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/github"
)

// statusState maps the state of a job to that of a commit status.
func statusState(s prowv1.ProwJobState) (string, error) {
	switch s {
	case prowv1.SchedulingState, prowv1.TriggeredState, prowv1.PendingState:
		return forge.StatusPending, nil
	case prowv1.SuccessState:
		return forge.StatusSuccess, nil
	case prowv1.FailureState, prowv1.AbortedState:
		return forge.StatusFailure, nil
	case prowv1.ErrorState:
		return forge.StatusError, nil
	}
	return "", fmt.Errorf("state %q has no commit status", s)
}
