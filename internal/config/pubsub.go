package config

// PubSubTrigger says from which topics requests for jobs are taken.
type PubSubTrigger struct {
	Project string `json:"project,omitempty"`
	// Topics are subscription ids.
	Topics []string `json:"topics,omitempty"`
	// AllowedClusters are the build clusters jobs may use; "*" is any.
	AllowedClusters []string `json:"allowed_clusters,omitempty"`
	// MaxOutstandingMessages limits the messages in work. Default: 10.
	MaxOutstandingMessages int `json:"max_outstanding_messages,omitempty"`
}
