package mkpj

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// prompter asks the person who runs the program.
type prompter struct {
	in  *bufio.Reader
	err io.Writer
}

func newPrompter(s Streams) *prompter {
	return &prompter{in: bufio.NewReader(s.In), err: s.Err}
}

// ask puts a question and returns the line of the answer. Without anybody to
// answer it is an error that names the flag to give instead.
func (p *prompter) ask(question, flag string) (string, error) {
	if _, err := io.WriteString(p.err, question); err != nil {
		return "", fmt.Errorf("ask for %s: %w", flag, err)
	}
	line, err := p.in.ReadString('\n')
	answer := strings.TrimSpace(line)
	switch {
	case answer != "":
		return answer, nil
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("%s is not given, and standard input has ended without an answer", flag)
	case err != nil:
		return "", fmt.Errorf("read the answer for %s: %w", flag, err)
	}
	return "", fmt.Errorf("%s is not given, and the answer is empty", flag)
}
