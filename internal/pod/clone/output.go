package clone

import "fmt"

// maxRecordedOutput bounds what a record keeps of one command, in bytes: half
// from the beginning, half from the end, where git says what went wrong.
const maxRecordedOutput = 1 << 20

// boundedBuffer keeps the beginning and the end of an output.
type boundedBuffer struct {
	head, tail []byte
	cut        int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	n := len(p)
	keep := min(len(p), maxRecordedOutput/2-len(b.head))
	b.head = append(b.head, p[:keep]...)
	b.tail = append(b.tail, p[keep:]...)
	// What is over is dropped once in a while rather than with every write.
	if over := len(b.tail) - maxRecordedOutput/2; over > maxRecordedOutput/2 {
		b.drop(over)
	}
	return n, nil
}

func (b *boundedBuffer) drop(n int) {
	b.tail = append(b.tail[:0], b.tail[n:]...)
	b.cut += n
}

func (b *boundedBuffer) String() string {
	if over := len(b.tail) - maxRecordedOutput/2; over > 0 {
		b.drop(over)
	}
	if b.cut == 0 {
		return string(b.head) + string(b.tail)
	}
	return fmt.Sprintf("%s\n(%d bytes are left out here)\n%s", b.head, b.cut, b.tail)
}
