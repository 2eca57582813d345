package config

// Place is where something stands in a file; Line counts from 1.
type Place struct {
	File string
	Line int
}

// Place is where the job was declared; empty for jobs that were not read from files.
func (b *JobBase) Place() Place { return Place{b.file(), b.SourceLine} }

// Place is where the preset was declared.
func (p *Preset) Place() Place { return Place{p.source.file, p.source.line} }

// Place is where the query was declared; of merged queries, the first.
func (q *TideQuery) Place() Place { return Place{q.source.file, q.source.line} }

// Matches tells whether the preset is added to jobs with the labels.
func (p *Preset) Matches(labels map[string]string) bool { return p.matches(labels) }

// Matches tells whether the default is for jobs of a repository ("org/repo",
// or empty) on a cluster.
func (d *DecorationDefault) Matches(repo, cluster string) bool {
	return entryMatches(d.OrgRepo, d.Cluster, repo, cluster)
}

// Matches tells whether the default is for jobs of a repository ("org/repo",
// or empty) on a cluster.
func (e *ProwJobDefaultEntry) Matches(repo, cluster string) bool {
	return entryMatches(e.OrgRepo, e.Cluster, repo, cluster)
}
