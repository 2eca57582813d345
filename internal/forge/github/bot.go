package github

import (
	"context"
	"fmt"
	"strings"

	"prow/internal/forge/github/apimetrics"
)

// bot is the account under which clients of one origin act, asked for once.
type bot struct{ account lookup[User] }

// BotUser is the account under which the client acts, asked for once.
func (c *Client) BotUser(ctx context.Context) (*User, error) {
	user, err := c.bot.account.get(ctx, func(User) bool { return true }, func() (u User, err error) {
		if c.app {
			app, err := c.GetApp(ctx)
			return User{Login: app.Slug, Name: app.Name, Email: app.Slug + "@users.noreply.github.com"}, err
		}
		if err = c.get(ctx, "user", &u); err == nil {
			c.tellUser(u)
		}
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("who am I: %w", err)
	}
	return &user, nil
}

// BotChecker returns a test for "is this account the one the client acts under",
// for callers who have the account and not just its login. With a token the
// number of the account decides, which nobody else can have. The account of an
// App is a bot with the App's name and "[bot]"; a person may be called the same
// without that.
func (c *Client) BotChecker(ctx context.Context) (func(User) bool, error) {
	bot, err := c.BotUser(ctx)
	if err != nil {
		return nil, err
	}
	if !c.app {
		return func(u User) bool { return u.ID != 0 && u.ID == bot.ID }, nil
	}
	login := NormLogin(bot.Login) + "[bot]"
	return func(u User) bool { return u.Type == "Bot" && NormLogin(u.Login) == login }, nil
}

// BotUserChecker returns a test for "is this login the bot"; logins are compared
// as accounts are, without regard to case. The bot of an App is also meant without
// "[bot]", as GraphQL has it; with a token the login is as it is, for "[bot]"
// would be an App that somebody has named after the account. It is for callers who
// know no more than a login; see BotChecker.
func (c *Client) BotUserChecker(ctx context.Context) (func(login string) bool, error) {
	bot, err := c.BotUser(ctx)
	if err != nil {
		return nil, err
	}
	name := NormLogin(bot.Login)
	return func(login string) bool {
		login = NormLogin(login)
		if c.app {
			login = strings.TrimSuffix(login, "[bot]")
		}
		return login == name
	}, nil
}

// tellUser shows whose token the client has.
func (c *Client) tellUser(u User) {
	if c.metrics == nil || c.token == nil {
		return
	}
	if token, err := c.token(); err == nil {
		c.metrics.users.WithLabelValues(apimetrics.HashOf("Bearer "+token), u.Login, u.Email).Set(1)
	}
}
