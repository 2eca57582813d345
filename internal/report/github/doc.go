// Package github reports ProwJobs on GitHub: as a commit status or check run
// while and after a job runs, and as one comment per pull request that lists the
// failed jobs.
//
// Of several runs of one job on one commit the newest speaks: an older one that
// ends, or that is reported, later says nothing any more. Writing the same report
// twice changes nothing that people see.
package github
