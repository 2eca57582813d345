package prowjob

import (
	"slices"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// PresubmitSpec is a run of a presubmit on one pull request.
func PresubmitSpec(p *config.Presubmit, refs v1.Refs) v1.ProwJobSpec {
	spec := specFromBase(&p.JobBase)
	spec.Type = v1.PresubmitJob
	spec.Context = p.Context
	spec.Report = !p.SkipReport
	spec.RerunCommand = p.RerunCommand
	spec.JenkinsSpec = p.JenkinsSpec.DeepCopy()
	spec.Refs = completePrimaryRefs(refs, &p.JobBase)
	return spec
}

// PostsubmitSpec is a run of a postsubmit on a pushed commit.
func PostsubmitSpec(p *config.Postsubmit, refs v1.Refs) v1.ProwJobSpec {
	spec := specFromBase(&p.JobBase)
	spec.Type = v1.PostsubmitJob
	spec.Context = p.Context
	spec.Report = !p.SkipReport
	spec.JenkinsSpec = p.JenkinsSpec.DeepCopy()
	spec.Refs = completePrimaryRefs(refs, &p.JobBase)
	return spec
}

// PeriodicSpec is a run of a periodic. It is always reported.
func PeriodicSpec(p *config.Periodic) v1.ProwJobSpec {
	spec := specFromBase(&p.JobBase)
	spec.Type = v1.PeriodicJob
	spec.Report = true
	return spec
}

// BatchSpec is a run of a presubmit on several pull requests together. It has
// no place on the code host to report to.
func BatchSpec(p *config.Presubmit, refs v1.Refs) v1.ProwJobSpec {
	spec := specFromBase(&p.JobBase)
	spec.Type = v1.BatchJob
	spec.Context = p.Context
	spec.Refs = completePrimaryRefs(refs, &p.JobBase)
	return spec
}

// specFromBase copies what every job has.
func specFromBase(b *config.JobBase) v1.ProwJobSpec {
	spec := v1.ProwJobSpec{
		Job:                   b.Name,
		Agent:                 v1.ProwJobAgent(b.Agent),
		Cluster:               b.Cluster,
		MaxConcurrency:        b.MaxConcurrency,
		ErrorOnEviction:       b.ErrorOnEviction,
		DecorationConfig:      b.DecorationConfig.DeepCopy(),
		PodSpec:               b.Spec.DeepCopy(),
		PipelineRunSpec:       b.PipelineRunSpec.DeepCopy(),
		TektonPipelineRunSpec: b.TektonPipelineRunSpec.DeepCopy(),
		ReporterConfig:        b.ReporterConfig.DeepCopy(),
		RerunAuthConfig:       b.RerunAuthConfig.DeepCopy(),
		Hidden:                b.Hidden,
		ProwJobDefault:        b.ProwJobDefault.DeepCopy(),
		JobQueueName:          b.JobQueueName,
	}
	if b.Namespace != nil {
		spec.Namespace = *b.Namespace
	}
	for _, ref := range b.ExtraRefs {
		ref = *ref.DeepCopy()
		defaultBlobless(&ref, b.DecorationConfig)
		spec.ExtraRefs = append(spec.ExtraRefs, ref)
	}
	return spec
}

// completePrimaryRefs adds to the refs of an event what the job says about
// cloning. What the job does not say stays as the caller has it.
func completePrimaryRefs(refs v1.Refs, b *config.JobBase) *v1.Refs {
	out := refs.DeepCopy()
	if b.PathAlias != "" {
		out.PathAlias = b.PathAlias
	}
	if b.CloneURI != "" {
		out.CloneURI = b.CloneURI
	}
	if b.SkipSubmodules {
		out.SkipSubmodules = true
	}
	if b.SkipFetchHead {
		out.SkipFetchHead = true
	}
	if b.CloneDepth > 0 {
		out.CloneDepth = b.CloneDepth
	}
	defaultBlobless(out, b.DecorationConfig)
	if d := b.DecorationConfig; d != nil && len(d.SparseCheckoutFiles) > 0 {
		out.SparseCheckoutFiles = slices.Clone(d.SparseCheckoutFiles)
	}
	if d := b.DecorationConfig; d != nil && len(d.SparseCheckout) > 0 {
		out.SparseCheckout = slices.Clone(d.SparseCheckout)
	}
	return out
}

func defaultBlobless(refs *v1.Refs, d *v1.DecorationConfig) {
	if refs.BloblessFetch == nil && d != nil && d.BloblessFetch != nil {
		blobless := *d.BloblessFetch
		refs.BloblessFetch = &blobless
	}
}
