package ghproxy

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/pflag"

	"prow/internal/service"
)

// Name of the component.
const Name = "ghproxy"

// Options of the component.
type Options struct {
	Port     int
	Upstream string

	CacheDir    string
	CacheSizeGB int
	// MemorySizeMB bounds the cache where neither a directory nor redis is given.
	MemorySizeMB int
	// Legacy keeps the answers of all credentials in one directory.
	Legacy bool

	RedisAddress, RedisUsername, RedisSecretFile string

	Concurrency                        int
	ThrottleMS, ThrottleV4MS           int
	GetThrottleMS                      int
	MaxDelaySeconds, MaxDelayV4Seconds int
	RequestTimeoutSeconds              uint

	LogLevel     string
	PushGateway  string
	PushInterval time.Duration
	ServeMetrics bool

	upstream *url.URL
	// diskBound and prune are set by tests, which have neither gigabytes nor hours.
	diskBound int64
	prune     time.Duration
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	fs.IntVar(&o.Port, "port", 8888, "Port to listen on.")
	fs.StringVar(&o.Upstream, "upstream", "https://api.github.com", "Scheme, host and base path of the API.")
	fs.StringVar(&o.CacheDir, "cache-dir", "", "Directory of the cache. Empty: the cache is in memory.")
	fs.IntVar(&o.CacheSizeGB, "cache-sizeGB", 0, "Bound of the cache on disk, in units of 10^9 bytes. Goes with --cache-dir.")
	fs.IntVar(&o.MemorySizeMB, "cache-memory-sizeMB", 500, "Bound of the cache in memory, in units of 10^6 bytes.")
	fs.BoolVar(&o.Legacy, "legacy-disable-disk-cache-partitions-by-auth-header", false, "Keep the answers of all credentials in one directory.")
	fs.StringVar(&o.RedisAddress, "redis-address", "", "Address (host:port) of a redis that holds the cache.")
	fs.StringVar(&o.RedisUsername, "redis-username", "", "User of the redis.")
	fs.StringVar(&o.RedisSecretFile, "redis-secret-file", "", "File with the password of the redis.")
	fs.IntVar(&o.Concurrency, "concurrency", 25, "Requests in flight to GitHub.")
	fs.IntVar(&o.ThrottleMS, "throttling-time-ms", 0, "Time between two requests on a budget of which one is a write, in milliseconds.")
	fs.IntVar(&o.ThrottleV4MS, "throttling-time-v4-ms", 0, "The same for GraphQL; 0 is the value of --throttling-time-ms.")
	fs.IntVar(&o.GetThrottleMS, "get-throttling-time-ms", 0, "Time between two reads on a budget, in milliseconds. Requests are spaced only if this and the time for writes are set.")
	fs.IntVar(&o.MaxDelaySeconds, "throttling-max-delay-duration-seconds", 30, "Longest wait of a request for its time slot.")
	fs.IntVar(&o.MaxDelayV4Seconds, "throttling-max-delay-duration-v4-seconds", 30, "The same for GraphQL.")
	fs.StringVar(&o.LogLevel, "log-level", "info", "Level of the log: debug, info, warn or error.")
	fs.StringVar(&o.PushGateway, "push-gateway", "", "Endpoint of a Prometheus push gateway that gets the metrics. Empty: they are served.")
	fs.DurationVar(&o.PushInterval, "push-gateway-interval", time.Minute, "Time between two pushes.")
	fs.BoolVar(&o.ServeMetrics, "serve-metrics", false, "Serve the metrics although they are pushed.")
	fs.UintVar(&o.RequestTimeoutSeconds, "request-timeout", 30, "Time limit of a request, in seconds.")
}

// Validate completes and checks the options; it reports all problems at once.
func (o *Options) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Port < 0 || o.Port > 65535 {
		add("--port=%d is not a port", o.Port)
	}
	u, err := url.Parse(o.Upstream)
	switch {
	case err != nil:
		add("--upstream: %w", err)
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		add("--upstream=%s is not an http or https URL", o.Upstream)
	}
	o.upstream = u
	if (o.CacheDir == "") != (o.CacheSizeGB == 0) {
		add("--cache-dir and --cache-sizeGB go together")
	}
	if o.CacheSizeGB < 0 {
		add("--cache-sizeGB=%d is negative", o.CacheSizeGB)
	}
	if o.MemorySizeMB <= 0 {
		add("--cache-memory-sizeMB=%d must be positive", o.MemorySizeMB)
	}
	if o.RedisUsername != "" && o.RedisSecretFile == "" {
		add("--redis-username needs --redis-secret-file")
	}
	if (o.RedisUsername != "" || o.RedisSecretFile != "") && o.RedisAddress == "" {
		add("credentials for redis need --redis-address")
	}
	if o.Concurrency <= 0 {
		add("--concurrency=%d must be positive", o.Concurrency)
	}
	if _, err := service.ParseLevel(o.LogLevel); err != nil {
		add("--log-level: %w", err)
	}
	if o.PushInterval <= 0 && o.PushGateway != "" {
		add("--push-gateway-interval=%s must be positive", o.PushInterval)
	}
	if o.RequestTimeoutSeconds == 0 {
		add("--request-timeout must be positive")
	}
	for name, n := range map[string]int{
		"throttling-time-ms": o.ThrottleMS, "throttling-time-v4-ms": o.ThrottleV4MS, "get-throttling-time-ms": o.GetThrottleMS,
		"throttling-max-delay-duration-seconds": o.MaxDelaySeconds, "throttling-max-delay-duration-v4-seconds": o.MaxDelayV4Seconds,
	} {
		if n < 0 {
			add("--%s=%d is negative", name, n)
		}
	}
	return errors.Join(errs...)
}

// spacings are the times between requests: for REST and for GraphQL.
func (o *Options) spacings() (rest, v4 Spacing) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	rest = Spacing{Write: ms(o.ThrottleMS), Get: ms(o.GetThrottleMS), Max: time.Duration(o.MaxDelaySeconds) * time.Second}
	v4 = rest
	v4.Max = time.Duration(o.MaxDelayV4Seconds) * time.Second
	if o.ThrottleV4MS > 0 {
		v4.Write = ms(o.ThrottleV4MS)
	}
	return rest, v4
}

// halfThrottled tells that times are given which have no effect.
func (o *Options) halfThrottled() bool {
	return (o.ThrottleMS > 0 || o.ThrottleV4MS > 0 || o.GetThrottleMS > 0) && (o.ThrottleMS == 0 || o.GetThrottleMS == 0)
}
