package config

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync"
)

// regexCache shares compiled expressions between jobs and between loads. Each
// load starts a generation; expressions that a generation did not use are
// dropped by the next, so that the cache never outgrows two configurations.
type regexCache struct {
	mu        sync.Mutex
	now, last map[string]*regexp.Regexp
	// budget bounds what may be compiled.
	budget *budget
}

// newGeneration forgets what the last load did not use.
func (c *regexCache) newGeneration() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.now = c.now, make(map[string]*regexp.Regexp, len(c.now))
}

func (c *regexCache) compile(expr string) (*regexp.Regexp, error) {
	c.mu.Lock()
	re := c.now[expr]
	if re == nil {
		re = c.last[expr]
	}
	c.mu.Unlock()
	if re == nil {
		if err := c.budget.spendExpr(expr); err != nil {
			return nil, err
		}
		var err error
		if re, err = regexp.Compile(expr); err != nil {
			return nil, notExpr(expr, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		c.now = map[string]*regexp.Regexp{}
	}
	c.now[expr] = re
	return re, nil
}

// notExpr tells why a text is no regular expression.
func notExpr(expr string, err error) error {
	var why *syntax.Error
	if errors.As(err, &why) {
		err = errors.New(why.Code.String())
	}
	if len(expr) > 100 {
		expr = expr[:97] + "..."
	}
	return fmt.Errorf("found %q, expected a regular expression: %w", expr, err)
}
