package v1

// Reason says in one word why a job waits or how it ended; Description is the
// sentence for people beside it. The list is stable: programs may compare, and a
// reader meets an unknown one as "something else". It is empty while nothing is
// in the way of a job.
type Reason string

// Reasons of jobs that wait to be started.
const (
	// ReasonWaitingForConcurrency: max_concurrency of the job or of plank leaves no room.
	ReasonWaitingForConcurrency Reason = "WaitingForConcurrency"
	// ReasonWaitingForQueue: the job queue is full, closed, or not configured.
	ReasonWaitingForQueue Reason = "WaitingForQueue"
	// ReasonWaitingForCluster: the build cluster does not answer or refuses access at the moment.
	ReasonWaitingForCluster Reason = "WaitingForCluster"
	// ReasonPodCreationFailing: creating the pod fails for a cause that may pass; it is tried again.
	ReasonPodCreationFailing Reason = "PodCreationFailing"
)

// Reasons of jobs whose pod waits; the first three also of jobs that ended of it.
const (
	// ReasonUnschedulable: no node takes the pod.
	ReasonUnschedulable Reason = "Unschedulable"
	// ReasonImagePullFailed: an image cannot be pulled.
	ReasonImagePullFailed Reason = "ImagePullFailed"
	// ReasonContainerConfigFailed: a container cannot be made, for example because a secret is missing.
	ReasonContainerConfigFailed Reason = "ContainerConfigFailed"
	// ReasonSchedulingTimeout: no node took the pod within pod_unscheduled_timeout, and it is not said why.
	ReasonSchedulingTimeout Reason = "SchedulingTimeout"
	// ReasonPendingTimeout: the pod did not start within pod_pending_timeout, and it is not said why.
	ReasonPendingTimeout Reason = "PendingTimeout"
)

// Reasons of jobs that the test decided.
const (
	// ReasonSucceeded: every container ended well.
	ReasonSucceeded Reason = "Succeeded"
	// ReasonTestFailed: a container of the job ended with an error.
	ReasonTestFailed Reason = "TestFailed"
	// ReasonCloneFailed: the code could not be cloned.
	ReasonCloneFailed Reason = "CloneFailed"
	// ReasonInitContainerFailed: another init container ended with an error.
	ReasonInitContainerFailed Reason = "InitContainerFailed"
	// ReasonSidecarFailed: only the container that stores the results ended with an error.
	ReasonSidecarFailed Reason = "SidecarFailed"
	// ReasonDeadlineExceeded: the pod outlived its own active deadline.
	ReasonDeadlineExceeded Reason = "DeadlineExceeded"
	// ReasonRunningTimeout: the pod ran longer than pod_running_timeout.
	ReasonRunningTimeout Reason = "RunningTimeout"
	// ReasonOOMKilled: a container ran out of memory.
	ReasonOOMKilled Reason = "OOMKilled"
	// ReasonContainersUnfinished: the pod succeeded though a container did not.
	ReasonContainersUnfinished Reason = "ContainersUnfinished"
)

// Reasons of jobs that lost their pod; while such a pod is made again, and at
// the end where it was lost too often.
const (
	// ReasonEvicted: the pod was evicted.
	ReasonEvicted Reason = "Evicted"
	// ReasonPreempted: the pod made way for one of a higher priority.
	ReasonPreempted Reason = "Preempted"
	// ReasonNodeShutdown: the node was shut down.
	ReasonNodeShutdown Reason = "NodeShutdown"
	// ReasonNodeLost: the node was lost or removed.
	ReasonNodeLost Reason = "NodeLost"
	// ReasonNodeRefused: the node that the scheduler chose did not admit the pod.
	ReasonNodeRefused Reason = "NodeRefused"
	// ReasonPodUnknown: the state of the pod cannot be obtained.
	ReasonPodUnknown Reason = "PodUnknown"
	// ReasonPodVanished: the pod is gone without a trace.
	ReasonPodVanished Reason = "PodVanished"
	// ReasonPodDeleted: somebody deletes the pod.
	ReasonPodDeleted Reason = "PodDeleted"
)

// Reasons of jobs that cannot run, or that somebody stopped.
const (
	// ReasonPodRefused: the API server refuses the pod, or another pod has its name.
	ReasonPodRefused Reason = "PodRefused"
	// ReasonInvalidJob: no pod can be made of the job.
	ReasonInvalidJob Reason = "InvalidJob"
	// ReasonUnknownCluster: there is no build cluster of that name.
	ReasonUnknownCluster Reason = "UnknownCluster"
	// ReasonSuperseded: a newer run of the same job on the same pull request replaces this one.
	ReasonSuperseded Reason = "Superseded"
	// ReasonAborted: somebody aborted the job.
	ReasonAborted Reason = "Aborted"
)

// AllReasons lists every reason.
func AllReasons() []Reason {
	return []Reason{
		ReasonWaitingForConcurrency, ReasonWaitingForQueue, ReasonWaitingForCluster, ReasonPodCreationFailing,
		ReasonUnschedulable, ReasonImagePullFailed, ReasonContainerConfigFailed, ReasonSchedulingTimeout, ReasonPendingTimeout,
		ReasonSucceeded, ReasonTestFailed, ReasonCloneFailed, ReasonInitContainerFailed, ReasonSidecarFailed, ReasonDeadlineExceeded,
		ReasonRunningTimeout, ReasonOOMKilled, ReasonContainersUnfinished,
		ReasonEvicted, ReasonPreempted, ReasonNodeShutdown, ReasonNodeLost, ReasonNodeRefused, ReasonPodUnknown, ReasonPodVanished, ReasonPodDeleted,
		ReasonPodRefused, ReasonInvalidJob, ReasonUnknownCluster, ReasonSuperseded, ReasonAborted,
	}
}
