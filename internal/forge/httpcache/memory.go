package httpcache

import (
	"container/list"
	"context"
	"sync"
)

// Store holds entries by key. It may forget any of them at any time. All
// methods may be called concurrently.
type Store interface {
	// Get returns an entry; nil if there is none, or none that can be read.
	Get(ctx context.Context, key string) *Entry
	// Put stores an entry, or not, if it is too large for the store.
	Put(ctx context.Context, key string, e *Entry)
	// Delete forgets an entry.
	Delete(ctx context.Context, key string)
}

// Memory keeps entries in memory, the most recently used ones within a bound.
type Memory struct {
	bound int64

	mu    sync.Mutex
	used  int64
	items map[string]*list.Element
	order *list.List // of *memoryItem, the most recently used first
}

type memoryItem struct {
	key   string
	entry *Entry
	size  int64
}

// itemOverhead is what the store itself needs for an entry, in bytes.
const itemOverhead = 200

// NewMemory returns a store that holds at most about bound bytes.
func NewMemory(bound int64) *Memory {
	return &Memory{bound: bound, items: map[string]*list.Element{}, order: list.New()}
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, key string) *Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	element := m.items[key]
	if element == nil {
		return nil
	}
	m.order.MoveToFront(element)
	return element.Value.(*memoryItem).entry
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, key string, e *Entry) {
	item := &memoryItem{key: key, entry: e, size: e.size() + int64(len(key)) + itemOverhead}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(m.items[key])
	if item.size > m.bound {
		return
	}
	m.items[key] = m.order.PushFront(item)
	m.used += item.size
	for m.used > m.bound {
		m.remove(m.order.Back())
	}
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(m.items[key])
}

// Size is how many bytes the store holds, and Len how many entries.
func (m *Memory) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Len is how many entries the store holds.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

func (m *Memory) remove(element *list.Element) {
	if element == nil {
		return
	}
	item := m.order.Remove(element).(*memoryItem)
	delete(m.items, item.key)
	m.used -= item.size
}
