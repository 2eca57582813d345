package config

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
	// EndpointAPIConsumerType is PROJECT.
	EndpointAPIConsumerType string `json:"endpoint_api_consumer_type,omitempty"`
	// EndpointAPIConsumerNumber is the number of the project.
	EndpointAPIConsumerNumber string `json:"endpoint_api_consumer_number,omitempty"`
}

// AllowedJobsFilter admits jobs of one tenant.
type AllowedJobsFilter struct {
	TenantID string `json:"tenant_id,omitempty"`
}
