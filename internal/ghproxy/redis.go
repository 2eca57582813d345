package ghproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"prow/internal/forge/httpcache"
	"prow/internal/service"
)

const (
	redisPrefix = "rediscache:"
	// redisTTL is how long an answer that nobody asks for is kept.
	redisTTL = 7 * 24 * time.Hour
	// redisTimeout bounds a call: a slow redis costs less than an answer of GitHub.
	redisTimeout = 2 * time.Second
)

// redisStore keeps answers in redis. Where redis does not answer, GitHub is asked.
type redisStore struct {
	client *redis.Client
	log    *slog.Logger
}

// openRedis connects; a redis that does not answer at start is an error.
func openRedis(ctx context.Context, rt *service.Runtime, o *Options) (*redisStore, error) {
	password := ""
	if o.RedisSecretFile != "" {
		raw, err := os.ReadFile(o.RedisSecretFile)
		if err != nil {
			return nil, fmt.Errorf("--redis-secret-file: %w", err)
		}
		password = strings.TrimSpace(string(raw))
	}
	s := &redisStore{log: rt.Log, client: redis.NewClient(&redis.Options{
		Addr: o.RedisAddress, Username: o.RedisUsername, Password: password,
		DialTimeout: redisTimeout, ReadTimeout: redisTimeout, WriteTimeout: redisTimeout, ContextTimeoutEnabled: true,
	})}
	if err := s.client.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("--redis-address=%s: %w", o.RedisAddress, err)
	}
	return s, nil
}

// Get implements httpcache.Store.
func (s *redisStore) Get(ctx context.Context, key string) *httpcache.Entry {
	raw, err := s.client.GetEx(ctx, redisPrefix+key, redisTTL).Bytes()
	if err != nil {
		if !errors.Is(err, redis.Nil) {
			s.log.WarnContext(ctx, "The cache cannot be read.", "error", err)
		}
		return nil
	}
	e, err := httpcache.Unmarshal(raw)
	if err != nil {
		s.log.WarnContext(ctx, "A damaged entry of the cache is dropped.", "error", err)
		s.Delete(ctx, key)
		return nil
	}
	return e
}

// Put implements httpcache.Store.
func (s *redisStore) Put(ctx context.Context, key string, e *httpcache.Entry) {
	if err := s.client.Set(ctx, redisPrefix+key, e.Marshal(), redisTTL).Err(); err != nil {
		s.log.WarnContext(ctx, "An answer cannot be stored.", "error", err)
	}
}

// Delete implements httpcache.Store.
func (s *redisStore) Delete(ctx context.Context, key string) {
	if err := s.client.Del(ctx, redisPrefix+key).Err(); err != nil {
		s.log.WarnContext(ctx, "An entry of the cache cannot be removed.", "error", err)
	}
}
