// Package github reports ProwJobs on GitHub: as a commit status while and after
// a job runs, and as one comment per pull request that lists the failed jobs.
package github
