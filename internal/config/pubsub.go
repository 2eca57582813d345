package config

import (
	"maps"
	"slices"
)

// PubSubTrigger says from which topics requests for jobs are taken.
type PubSubTrigger struct {
	// Project is the project of the subscriptions.
	Project string `json:"project,omitempty"`
	// Topics are subscription ids.
	Topics []string `json:"topics,omitempty"`
	// AllowedClusters are the build clusters jobs may use; "*" is any.
	AllowedClusters []string `json:"allowed_clusters,omitempty"`
	// MaxOutstandingMessages limits the messages in work. Default: 10.
	MaxOutstandingMessages int `json:"max_outstanding_messages,omitempty"`
}

func (c *ProwConfig) resolvePubSub(s *sectionContext) {
	if len(c.PubSubSubscriptions) > 0 {
		if len(c.PubSubTriggers) > 0 {
			s.report("pubsub_subscriptions", "found together with pubsub_triggers, expected one of them")
			return
		}
		for _, project := range slices.Sorted(maps.Keys(c.PubSubSubscriptions)) {
			c.PubSubTriggers = append(c.PubSubTriggers, PubSubTrigger{
				Project: project, Topics: c.PubSubSubscriptions[project], AllowedClusters: []string{"*"},
			})
		}
		c.PubSubSubscriptions = nil
	}
	for i := range c.PubSubTriggers {
		defaultTo(&c.PubSubTriggers[i].MaxOutstandingMessages, 10)
	}
}
