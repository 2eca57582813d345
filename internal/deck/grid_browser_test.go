package deck

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"prow/internal/storage"
	"prow/internal/storage/providers"
)

// gatedBucket holds results of the job "slow" back until the gate is open.
type gatedBucket struct {
	storage.Bucket
	gate chan struct{}
}

func (b gatedBucket) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if strings.HasPrefix(key, "logs/slow/") && strings.HasSuffix(key, ".xml") {
		select {
		case <-b.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return b.Bucket.Get(ctx, key, offset, length)
}

// storePicture stores 30 builds of a job of which much can be told.
func (s *site) storePicture(job string) {
	for i := range 30 {
		id := 1815700000000000000 + uint64(i)*3_000_000_000_000
		at := func(name string, failed func(i int) bool) string {
			if failed(i) {
				return name + "- "
			}
			return name + "+ "
		}
		var words strings.Builder
		for n := range 60 {
			fmt.Fprintf(&words, "TestFine/case_%02d+ ", n)
		}
		words.WriteString(at("TestReplication/leader_election_after_a_partition", func(i int) bool { return i >= 24 }))
		words.WriteString(at("TestUpgrade", func(i int) bool { return i == 29 }))
		words.WriteString(at("TestAlwaysBroken", func(int) bool { return true }))
		words.WriteString(at("TestRepaired", func(i int) bool { return i > 11 && i < 20 }))
		words.WriteString(at(`TestHostile/&lt;script&gt;alert(1)&lt;/script&gt;&#x202e;reversed`, func(i int) bool { return i == 20 }))
		if i%7 == 3 {
			words.WriteString("TestNetwork/reconnects~ ")
		} else {
			words.WriteString("TestNetwork/reconnects+ ")
		}
		if i > 22 {
			words.WriteString("TestNew+ ")
		}
		dir := fmt.Sprintf("logs/%s/%d", job, id)
		s.storeTests(dir, 1760000000+int64(i)*6*3600, words.String())
		s.store(dir+"/artifacts/junit_skips.xml", `<testsuite name="unit"><testcase classname="example.com/r" name="TestSkipped"><skipped/></testcase></testsuite>`)
		if i == 15 {
			s.store(dir+"/finished.json", fmt.Sprintf(`{"timestamp":%d,"result":"ABORTED"}`, 1760000000+i*6*3600+10))
			s.store(dir+"/artifacts/junit_01.xml", "")
		}
		s.store("logs/"+job+"/latest-build.txt", fmt.Sprint(id))
	}
}

// TestBrowserTestGrid lets a real browser show grids.
func TestBrowserTestGrid(t *testing.T) {
	needBrowser(t)
	gate := make(chan struct{})
	var once sync.Once
	control := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { once.Do(func() { close(gate) }) }))
	defer control.Close()
	real := providers.New(providers.Credentials{})
	opener := storage.NewOpener(map[string]storage.Provider{"file": func(ctx context.Context, location storage.Location) (storage.Bucket, error) {
		bucket, err := real.Open(ctx, "file://"+location.Bucket)
		return gatedBucket{bucket, gate}, err
	}})
	s := start(t, Options{Storage: opener}, "")
	s.storePicture("nightly")
	s.storePicture("slow")
	s.storeBuild("logs/empty/1", 1760000000, "SUCCESS", nil)
	s.storeTests("logs/fine/1", 1760000000, "TestFine+")
	browse(t, []string{"DECK_URL=" + s.url, "GRIDS=" + strings.TrimSuffix(s.grid("", ""), "/"), "GATE=" + control.URL}, "testgrid.test.js")
}
