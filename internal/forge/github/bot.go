package github

import (
	"context"
	"strings"
)

// BotChecker returns a test for "is this account the bot". A token's account is
// known by its number, which nobody can take over with a name. An app acts as an
// account of type "Bot" called "slug[bot]".
func (c *Client) BotChecker(ctx context.Context) (func(User) bool, error) {
	bot, err := c.BotUser(ctx)
	if err != nil {
		return nil, err
	}
	if c.app {
		name := NormLogin(bot.Login) + "[bot]"
		return func(u User) bool { return u.Type == "Bot" && NormLogin(u.Login) == name }, nil
	}
	return func(u User) bool {
		if bot.ID != 0 && u.ID != 0 {
			return u.ID == bot.ID
		}
		return strings.EqualFold(u.Login, bot.Login)
	}, nil
}
