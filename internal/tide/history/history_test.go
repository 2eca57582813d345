package history

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

func place(t *testing.T) *Place {
	t.Helper()
	b, err := filestore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return &Place{Bucket: b, Key: "history.json"}
}

func open(t *testing.T, limit int, p *Place) *History {
	t.Helper()
	h, err := New(t.Context(), limit, p)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestProbe35TheHistoryOutlivesTheProcess(t *testing.T) {
	p := place(t)
	h := open(t, 3, p)
	for i := range 5 {
		h.Add("o/r:main", Record{
			Time: time.Unix(int64(i), 0).UTC(), Action: fmt.Sprint("A", i), BaseSHA: "base", TenantIDs: []string{""},
			Target: []prowv1.Pull{{Number: 2, Author: "b", SHA: "y", Title: "T", HeadRef: "h"}, {Number: 1, Author: "a", SHA: "x"}},
		})
	}
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	content, err := storage.ReadAll(t.Context(), p.Bucket, p.Key, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var shape map[string][]map[string]any
	if err := json.Unmarshal(content, &shape); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(shape["o/r:main"][0]); len(shape["o/r:main"]) != 3 || got != "map[action:A4 baseSHA:base target:[map[author:a number:1 sha:x] map[author:b head_ref:h number:2 sha:y title:T]] tenantids:[] time:1970-01-01T00:00:04Z]" {
		t.Errorf("%d records, the newest is %s", len(shape["o/r:main"]), got)
	}
	for limit, want := range map[int]string{2: "A4 A3", 10: "A4 A3 A2"} {
		var got []string
		for _, r := range open(t, limit, p).All()["o/r:main"] {
			got = append(got, r.Action)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("a limit of %d leaves %v", limit, got)
		}
	}
}

func TestProbe35WhatCannotBeReadIsAnError(t *testing.T) {
	p := place(t)
	if err := p.Bucket.Put(t.Context(), p.Key, strings.NewReader("{"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), 1, p); err == nil || !strings.Contains(err.Error(), p.Key) {
		t.Errorf("a broken document: %v", err)
	}
	if _, err := New(t.Context(), 0, nil); err == nil {
		t.Error("a history of nothing")
	}
}

func TestNothingIsWrittenWithoutNews(t *testing.T) {
	p := place(t)
	h := open(t, 1, p)
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Bucket.Stat(t.Context(), p.Key); err == nil {
		t.Error("there was nothing to write")
	}
	h.Add("o/r:main", Record{Action: "MERGE"})
	_ = p.Bucket.Close()
	if err := h.Flush(t.Context()); err == nil {
		t.Fatal("the place is gone")
	}
	if err := h.Flush(t.Context()); err == nil {
		t.Error("what was not written is tried again")
	}
	if got, _ := json.Marshal(open(t, 1, nil).All()); string(got) != "{}" {
		t.Errorf("nothing is %s", got)
	}
}
