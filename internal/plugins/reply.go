package plugins

import (
	"fmt"
	"strings"
)

// aboutBot ends every comment that answers somebody.
const aboutBot = "Commands are read from comments that begin a line with them; the command help page lists all of them."

// Reply answers a comment: the author is mentioned, the message comes first, and
// the comment is quoted below.
func Reply(body, link, login, message string) string {
	quoted := "> " + strings.ReplaceAll(body, "\n", "\n> ")
	return ReplyWithReason(login, message, fmt.Sprintf("In response to [this](%s):\n\n%s\n", link, quoted))
}

// ReplyWithReason answers somebody and gives a reason instead of a quotation.
func ReplyWithReason(login, message, reason string) string {
	return fmt.Sprintf("@%s: %s\n\n<details>\n\n%s\n\n%s\n</details>", login, message, reason, aboutBot)
}

// Say is a comment that answers nobody.
func Say(message string) string {
	return fmt.Sprintf("%s\n\n<details>\n\n%s\n</details>", message, aboutBot)
}
