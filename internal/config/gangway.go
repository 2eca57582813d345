package config

import (
	"errors"
	"fmt"
	"regexp"
)

// Gangway configures the API that starts jobs on request.
type Gangway struct {
	// AllowedAPIClients are the clients that may ask.
	AllowedAPIClients []AllowedAPIClient `json:"allowed_api_clients,omitempty"`
}

// AllowedAPIClient is one client and the jobs it may start.
type AllowedAPIClient struct {
	// GCP identifies a client behind Google Cloud Endpoints.
	GCP *GCPClient `json:"gcp,omitempty"`
	// AllowedJobsFilters say which jobs it may start; at least one is needed.
	AllowedJobsFilters []AllowedJobsFilter `json:"allowed_jobs_filters,omitempty"`
}

// GCPClient identifies a client behind Google Cloud Endpoints.
type GCPClient struct {
	// EndpointAPIConsumerType is PROJECT; others are refused.
	EndpointAPIConsumerType string `json:"endpoint_api_consumer_type,omitempty"`
	// EndpointAPIConsumerNumber is the number of the project, in digits. No two
	// clients share it.
	EndpointAPIConsumerNumber string `json:"endpoint_api_consumer_number,omitempty"`
}

// AllowedJobsFilter admits jobs of one tenant.
type AllowedJobsFilter struct {
	// TenantID admits jobs of this tenant. It is required.
	TenantID string `json:"tenant_id,omitempty"`
}

var allDigits = regexp.MustCompile(`^[0-9]+$`)

func (g *Gangway) check(s *sectionContext) {
	seen := map[GCPClient]int{}
	for i, client := range g.AllowedAPIClients {
		field := fmt.Sprintf("gangway.allowed_api_clients[%d]", i)
		if client.GCP == nil {
			s.report(field, "missing gcp, expected a way to identify the client")
		} else {
			if t := client.GCP.EndpointAPIConsumerType; t != "PROJECT" {
				s.report(field+".gcp.endpoint_api_consumer_type", "found %q, expected PROJECT", t)
			}
			if n := client.GCP.EndpointAPIConsumerNumber; !allDigits.MatchString(n) {
				s.report(field+".gcp.endpoint_api_consumer_number", "found %q, expected a number", n)
			}
			if first, dup := seen[*client.GCP]; dup {
				s.report(field+".gcp", "the same client as allowed_api_clients[%d]", first)
			} else {
				seen[*client.GCP] = i
			}
		}
		if len(client.AllowedJobsFilters) == 0 {
			s.report(field+".allowed_jobs_filters", "missing, expected at least one filter")
		}
		for j, filter := range client.AllowedJobsFilters {
			if filter.TenantID == "" {
				s.report(fmt.Sprintf("%s.allowed_jobs_filters[%d].tenant_id", field, j), "missing, expected a tenant")
			}
		}
	}
}

// The metadata by which a client behind Google Cloud Endpoints is known.
const (
	GangwayConsumerType   = "x-endpoint-api-consumer-type"
	GangwayConsumerNumber = "x-endpoint-api-consumer-number"
)

// IdentifyClient finds the client of a request by its metadata: the first whose
// number is the one that is given.
func (g *Gangway) IdentifyClient(metadata func(key string) string) (*AllowedAPIClient, error) {
	number := metadata(GangwayConsumerNumber)
	if metadata(GangwayConsumerType) == "" || number == "" {
		return nil, fmt.Errorf("the request has no metadata %s and %s", GangwayConsumerType, GangwayConsumerNumber)
	}
	for i := range g.AllowedAPIClients {
		if gcp := g.AllowedAPIClients[i].GCP; gcp != nil && gcp.EndpointAPIConsumerNumber == number {
			return &g.AllowedAPIClients[i], nil
		}
	}
	return nil, errors.New("the client is not one of gangway.allowed_api_clients")
}
