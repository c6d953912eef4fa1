package fleet

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a [Store] that lasts as long as the process, for tests.
type Memory struct {
	Clock func() time.Time // nil: time.Now

	mu   sync.Mutex
	pos  uint64
	logs map[string][]Frame
	docs map[string][]byte
}

// Read implements Store.
func (m *Memory) Read(_ context.Context, log string, after uint64) ([]Frame, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.logs[log]), func(f Frame) bool { return f.Pos <= after }), nil
}

// Append implements Store.
func (m *Memory) Append(_ context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	frames := m.logs[log]
	var last uint64
	if len(frames) > 0 {
		last = frames[len(frames)-1].Pos
	}
	if last != pos {
		return 0, fmt.Errorf("log %s ends at %d, not %d: %w", log, last, pos, ErrFenced)
	}
	if m.logs == nil {
		m.logs = map[string][]Frame{}
	}
	m.pos++
	m.logs[log] = append(frames, Frame{m.pos, bytes.Clone(frame)})
	return m.pos, nil
}

// Trim implements Store.
func (m *Memory) Trim(_ context.Context, log string, pos uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs[log] = slices.DeleteFunc(slices.Clone(m.logs[log]), func(f Frame) bool { return f.Pos < pos })
	return nil
}

// Update implements Store.
func (m *Memory) Update(_ context.Context, key string, change func(old []byte) ([]byte, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, err := change(bytes.Clone(m.docs[key]))
	if err != nil || doc == nil {
		return err
	}
	if m.docs == nil {
		m.docs = map[string][]byte{}
	}
	m.docs[key] = bytes.Clone(doc)
	return nil
}

// Documents implements Store.
func (m *Memory) Documents(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.Sorted(maps.Keys(m.docs))
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, prefix) }), nil
}

// Now implements Store.
func (m *Memory) Now(context.Context) (time.Time, error) {
	if m.Clock != nil {
		return m.Clock(), nil
	}
	return time.Now(), nil
}

// MemoryObjects are [Objects] that last as long as the process, for tests.
type MemoryObjects struct {
	mu   sync.Mutex
	held map[string][]byte
}

// Put implements Objects.
func (m *MemoryObjects) Put(_ context.Context, b []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string][]byte{}
	}
	name := objectName(b)
	m.held[name] = bytes.Clone(b)
	return name, nil
}

// Get implements Objects.
func (m *MemoryObjects) Get(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.held[name]
	if !ok {
		return nil, fmt.Errorf("fleet: object %s: %w", name, ErrLost)
	}
	return bytes.Clone(b), nil
}
