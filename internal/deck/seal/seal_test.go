package seal

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWhatIsSealedIsNeitherReadNorMadeUp(t *testing.T) {
	now := time.Unix(1000, 0)
	secret := []byte("of this site")
	s := New(func() []byte { return secret }, func() time.Time { return now })
	text, err := s.Seal("session", map[string]string{"token": "gho_visible"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := s.Seal("session", map[string]string{"token": "gho_visible"}, time.Minute)
	if strings.Contains(text, "gho_") || text == again {
		t.Errorf("sealed as %s", text)
	}
	var got map[string]string
	if err := s.Open("session", text, &got); err != nil || got["token"] != "gho_visible" {
		t.Errorf("%v, %v", got, err)
	}
	refused := func(name, purpose, text string) {
		t.Helper()
		if err := s.Open(purpose, text, &got); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range len(text) {
		other := "A"
		if text[i] == 'A' {
			other = "B"
		}
		if i < len(text)-1 { // the last letter has bits that say nothing
			refused("one letter changed", "session", text[:i]+other+text[i+1:])
		}
	}
	refused("another purpose", "state", text)
	refused("nothing", "session", "")
	refused("not even in letters", "session", "%%%")
	refused("half", "session", text[:len(text)/2])
	now = now.Add(time.Minute)
	refused("too late", "session", text)
	now = now.Add(-time.Minute)
	secret = []byte("a new one")
	refused("after the key was changed", "session", text)
	secret = nil
	if text, err := s.Seal("session", 1, time.Minute); err == nil {
		t.Errorf("sealed without a secret: %s", text)
	}
	if err := s.Open("session", text, &got); err == nil {
		t.Error("opened without a secret")
	}
}
