package downward

import (
	"reflect"
	"strconv"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// Started makes the started.json of a run that began at a time. The records of
// its clones, if known, tell which commit is tested; else it is the one asked for.
func (s *JobSpec) Started(records []artifacts.CloneRecord, at time.Time) artifacts.Started {
	started := artifacts.Started{Timestamp: at.Unix()}
	if s.Refs != nil {
		if len(s.Refs.Pulls) > 0 {
			started.Pull = strconv.Itoa(s.Refs.Pulls[0].Number)
		}
		started.Repos = map[string]string{s.Refs.OrgRepoString(): s.Refs.String()}
	}
	for _, refs := range s.ExtraRefs {
		if started.Repos == nil {
			started.Repos = map[string]string{}
		}
		started.Repos[refs.OrgRepoString()] = refs.String()
	}
	main := s.MainRefs()
	if main == nil {
		return started
	}
	started.RepoCommit = s.Revision()
	for _, record := range records {
		if record.FinalSHA != "" && sameRefs(record.Refs, *main) {
			started.RepoCommit = record.FinalSHA
		}
	}
	started.RepoVersion = started.RepoCommit
	return started
}

// sameRefs leaves addresses aside: credentials in them are not in the record.
func sameRefs(a, b v1.Refs) bool {
	a.CloneURI, b.CloneURI = "", ""
	a.RepoLink, b.RepoLink = "", ""
	return reflect.DeepEqual(a, b)
}
