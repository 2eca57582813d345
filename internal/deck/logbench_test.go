package deck

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "prow/api/prowjobs/v1"
)

// BenchmarkFiveHundredWatchers measures 500 clients that follow one live log.
//
// Method: a pod on a real node writes ten lines a second for twenty seconds, each
// with the time at which it was written; it is followed through a real API server.
// 500 clients in a process of their own follow it as browsers do, and tell how long
// each line took from being written until it was there.
//
//	line-p50-ms, line-p95-ms, line-max-ms  over all lines and clients
//	watcher-KiB                            heap and stacks of this process per watcher
//	lines                                  that arrived; none may be missing
func BenchmarkFiveHundredWatchers(b *testing.B) {
	const watchers = 500
	s := start(b, Options{}, "")
	s.running("long")
	pj := v1.ProwJob{}
	pj.Name = "long"
	s.runPod(&pj, `sleep 8; i=0; while [ $i -lt 200 ]; do echo "at $(date +%s%N) of line $i"; i=$((i+1)); sleep 0.1; done; sleep 30`)
	for deadline := time.Now().Add(30 * time.Second); s.get("/log?job=long&id=1").StatusCode != 200; {
		if time.Now().After(deadline) {
			b.Fatal("the pod never wrote")
		}
	}
	before := inUse()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), self, "-test.run", "^TestWatchersOfTheBenchmark$", "-test.v")
	cmd.Env = append(os.Environ(), "WATCH_URL="+s.url+"/log?job=long&id=1&follow=1", "WATCHERS="+strconv.Itoa(watchers))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var each float64
	var got []float64
	var missing int
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		text := scanner.Text()
		switch {
		case strings.HasPrefix(text, "all watch"):
			each = float64(inUse()-before) / watchers / 1024
		case strings.HasPrefix(text, "result "):
			if _, err := fmt.Sscanf(text, "result %d", &missing); err != nil {
				b.Fatal(err)
			}
			if err := json.Unmarshal([]byte(text[strings.IndexByte(text, '['):]), &got); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || len(got) != 4 {
		b.Fatalf("the watchers: %v, %v", err, got)
	}
	b.ReportMetric(got[0], "line-p50-ms")
	b.ReportMetric(got[1], "line-p95-ms")
	b.ReportMetric(got[2], "line-max-ms")
	b.ReportMetric(got[3], "lines")
	b.ReportMetric(each, "watcher-KiB")
	b.ReportMetric(0, "ns/op")
	if got[1] > 1000 || missing > 0 {
		b.Errorf("95 of 100 lines took up to %.0f ms, %d are missing", got[1], missing)
	}
}

// inUse is the memory in use after a collection, in bytes.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestWatchersOfTheBenchmark is the process of the clients.
func TestWatchersOfTheBenchmark(t *testing.T) {
	address := os.Getenv("WATCH_URL")
	if address == "" {
		t.Skip("it is a part of BenchmarkFiveHundredWatchers")
	}
	count, _ := strconv.Atoi(os.Getenv("WATCHERS"))
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	line := regexp.MustCompile(`at (\d+) of line (\d+)`)
	var mu sync.Mutex
	var took []float64
	var began, ended sync.WaitGroup
	for range count {
		began.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Error(err)
				began.Done()
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", path, host)
			r := bufio.NewReaderSize(conn, 64<<10)
			resp, err := http.ReadResponse(r, nil)
			began.Done()
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("%v, %v", resp, err)
				return
			}
			scanner := bufio.NewScanner(resp.Body)
			scanner.Buffer(nil, 1<<20)
			for n := 0; n < 200 && scanner.Scan(); {
				now := time.Now()
				for _, m := range line.FindAllStringSubmatch(scanner.Text(), -1) {
					ns, _ := strconv.ParseInt(m[1], 10, 64)
					mu.Lock()
					took = append(took, float64(now.Sub(time.Unix(0, ns)).Microseconds())/1000)
					mu.Unlock()
					n++
				}
			}
		}()
	}
	began.Wait()
	fmt.Println("all watch")
	ended.Wait()
	slices.Sort(took)
	if len(took) == 0 {
		t.Fatal("no lines")
	}
	at := func(share float64) float64 { return took[min(len(took)-1, int(share*float64(len(took))))] }
	fmt.Printf("result %d [%f, %f, %f, %d]\n", 200*count-len(took), at(0.5), at(0.95), at(1), len(took))
}

// BenchmarkAGigabyteOfLog measures the pages of a stored log of 1 GB
// (PROW_BENCH_LOG_MB), on file storage, as it is and compressed.
//
// Method: a real site is asked over HTTP; nothing has asked for the log before.
//
//	first-ms        the page of the run, for the first visitor
//	early-jump-ms   a line in the middle, right after that, while lines are counted
//	counted-s       from the first request until all lines are counted
//	jump-p95-ms     200 lines anywhere, when all are counted
//	search-s        a text that is only in the last line
//	search-re-s     a regular expression with fixed text in it
//	search-any-s    one without; a request ends after 10 s, and goes on with the next
//	extra-MB        the most memory beyond that before, as the system counts it
func BenchmarkAGigabyteOfLog(b *testing.B) {
	for _, compressed := range []bool{false, true} {
		name := "plain"
		if compressed {
			name = "gzip"
		}
		b.Run(name, func(b *testing.B) { benchmarkLargeLog(b, compressed) })
	}
}

func benchmarkLargeLog(b *testing.B, compressed bool) {
	megabytes := 1000
	if n, err := strconv.Atoi(os.Getenv("PROW_BENCH_LOG_MB")); err == nil {
		megabytes = n
	}
	s := start(b, Options{}, "")
	pj := s.finished("job", "1", nil)
	s.eventually("/prowjobs.js", `"job"`)
	lines := writeLargeLog(b, filepath.Join(s.bucket, s.dir(pj), "build-log.txt"), megabytes, compressed)
	get := func(path string) (string, float64) {
		begun := time.Now()
		got := s.get(path)
		if got.StatusCode != 200 {
			b.Fatalf("%s: %s", path, got.Status)
		}
		return got.body, time.Since(begun).Seconds() * 1000
	}
	debug.FreeOSMemory()
	peak := watchMemory(b)
	begun := time.Now()
	page, first := get(s.view(pj))
	if !strings.Contains(page, `class="l"`) {
		b.Error("the first page shows no lines")
	}
	src := "src=" + s.src(pj)
	_, early := get(s.view(pj) + fmt.Sprintf("?line=%d", lines/2))
	for {
		if body, _ := get("/log/lines?" + src); strings.Contains(body, `"counting":false`) {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	counted := time.Since(begun).Seconds()
	var jumps []float64
	tries := 200
	if compressed {
		tries = 6
	}
	for i := range tries {
		line := int64(i+1) * lines / int64(tries+1)
		body, took := get(s.view(pj) + fmt.Sprintf("?line=%d", line))
		if !strings.Contains(body, fmt.Sprintf("id=\"L%d\"", line)) {
			b.Errorf("line %d is not on its page", line)
		}
		jumps = append(jumps, took)
	}
	slices.Sort(jumps)
	search := func(query string) float64 {
		begun := time.Now()
		hits, end := s.search(src + query)
		for rounds := 1; !end.Complete; rounds++ {
			if rounds > 20 {
				b.Fatalf("%s does not end: %+v", query, end)
			}
			var more []searchHit
			more, end = s.search(src + query + fmt.Sprintf("&from=%d", end.Next))
			hits = append(hits, more...)
		}
		if len(hits) != 1 || hits[0].Line != lines {
			b.Errorf("%s: %d hits", query, len(hits))
		}
		return time.Since(begun).Seconds()
	}
	b.ReportMetric(search("&q=needle"), "search-s")
	b.ReportMetric(search("&re=1&q=need(le|ful)%2B.found"), "search-re-s")
	if !compressed {
		b.ReportMetric(search("&re=1&case=1&q=[xyz]{5}"), "search-any-s")
	}
	b.ReportMetric(first, "first-ms")
	b.ReportMetric(early, "early-jump-ms")
	b.ReportMetric(counted, "counted-s")
	b.ReportMetric(jumps[len(jumps)*95/100], "jump-p95-ms")
	b.ReportMetric(peak(), "extra-MB")
	b.ReportMetric(0, "ns/op")
}

// writeLargeLog returns the number of lines.
func writeLargeLog(b *testing.B, path string, megabytes int, compressed bool) int64 {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var z *gzip.Writer
	w := bufio.NewWriterSize(file, 1<<20)
	to := io.Writer(w)
	if compressed {
		z = gzip.NewWriter(w)
		to = z
	}
	random := rand.New(rand.NewPCG(1, 2))
	var lines, size int64
	for size < int64(megabytes)*1_000_000 {
		n, _ := fmt.Fprintf(to, "2026-01-02T03:04:05.678Z step %d of the test, \x1b[32meverything\x1b[0m is as it should be in %016x\n", lines, random.Uint64())
		size += int64(n)
		lines++
	}
	fmt.Fprintln(to, "needle found xyzzy")
	if z != nil {
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if compressed {
		attributes := fmt.Sprintf(`{"size":%d,"contentEncoding":"gzip"}`, must(file.Stat()).Size())
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".attrs."+filepath.Base(path)), []byte(attributes), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return lines + 1
}

func must[T any](v T, _ error) T { return v }

// watchMemory returns what tells the most memory that was in use beyond that at the
// beginning, in MB.
func watchMemory(b *testing.B) func() float64 {
	ctx, stop := context.WithCancel(b.Context())
	base, most := resident(), int64(0)
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			most = max(most, resident())
			<-time.After(5 * time.Millisecond)
		}
	})
	return func() float64 {
		stop()
		done.Wait()
		return float64(most-base) / 1e6
	}
}

func resident() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
