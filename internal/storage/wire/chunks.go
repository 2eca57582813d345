package wire

import (
	"io"
	"sync"
)

// ChunkSize is how much of an object is sent at a time, in bytes. It is the least
// that S3 allows for a part, a multiple of what GCS demands of a chunk, and what an
// upload needs of memory.
const ChunkSize = 5 << 20

// Chunks lends buffers of ChunkSize, and takes them back for the next upload, so
// that thousands of uploads do not leave as many buffers behind.
type Chunks struct {
	mu   sync.Mutex
	free [][]byte
}

// maxFree bounds the buffers that are kept.
const maxFree = 8

// Get lends a buffer.
func (c *Chunks) Get() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		buf := c.free[n-1]
		c.free = c.free[:n-1]
		return buf
	}
	return make([]byte, ChunkSize)
}

// Put takes a buffer back; those of other sizes are left to the collector.
func (c *Chunks) Put(buf []byte) {
	if cap(buf) != ChunkSize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) < maxFree {
		c.free = append(c.free, buf[:ChunkSize])
	}
}

// ReadChunk fills buf, and tells whether src has come to its end. An object that
// ends with the buffer is only known to end by the next call.
func ReadChunk(src io.Reader, buf []byte) (n int, last bool, err error) {
	n, err = io.ReadFull(src, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, true, nil
	}
	return n, false, err
}
