// Package lossyfs is a file system for tests that loses power on request: what was written
// and not flushed is gone then, as on a disk with a cache of its own. Names are not lost,
// only content, which is what LazyFS models too.
package lossyfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is a file system over a directory.
type FS struct {
	Dir string // where it is mounted

	backing string
	server  *fuse.Server
	mu      sync.Mutex
	undo    map[*node][]change // since the last flush, of each file
}

// A change is what undoes a write.
type change struct {
	off  int64
	old  []byte // that stood there
	size int64  // of the file before
}

// Mount mounts a file system on a new directory, or skips the test where that is not
// possible.
func Mount(t testing.TB) *FS {
	t.Helper()
	f := &FS{Dir: t.TempDir(), backing: t.TempDir(), undo: map[*node][]change{}}
	root := &fs.LoopbackRoot{Path: f.backing}
	//lint:ignore SA1019 what replaces it would have to copy a node
	root.NewNode = func(r *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{LoopbackNode: fs.LoopbackNode{RootData: r}, fs: f}
	}
	var st syscall.Stat_t
	if err := syscall.Stat(f.backing, &st); err != nil {
		t.Fatal(err)
	}
	root.Dev = uint64(st.Dev)
	//lint:ignore SA1019 as above
	top := root.NewNode(root, nil, "", &st)
	root.RootNode = top
	var err error
	f.server, err = fs.Mount(f.Dir, top, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "lossyfs", MaxWrite: 1 << 17}})
	if err != nil {
		t.Skipf("no file system in user space can be mounted here: %v", err)
	}
	t.Cleanup(func() { f.server.Unmount() })
	return f
}

// LosePower takes back all that was not flushed. Nobody may have a file open. It returns
// how many writes are gone, those of files that were removed not counted.
func (f *FS) LosePower() (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for file, changes := range f.undo {
		path := file.path()
		h, err := os.OpenFile(path, os.O_RDWR, 0)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return n, err
		}
		for i := len(changes) - 1; i >= 0; i-- {
			c := changes[i]
			_, err1 := h.WriteAt(c.old, c.off)
			err2 := h.Truncate(c.size)
			if err1 != nil || err2 != nil {
				return n, fmt.Errorf("%s: %v, %v", path, err1, err2)
			}
			n++
		}
		if err := h.Close(); err != nil {
			return n, err
		}
	}
	f.undo = map[*node][]change{}
	return n, nil
}

// Sync flushes everything, as a timer would.
func (f *FS) Sync() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.undo = map[*node][]change{}
}

// note remembers what a write to a file will replace.
func (f *FS) note(n *node, off, size int64) error {
	h, err := os.Open(n.path())
	if err != nil {
		return err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return err
	}
	c := change{off: off, size: info.Size()}
	if off < c.size {
		c.old = make([]byte, min(size, c.size-off))
		if _, err := h.ReadAt(c.old, off); err != nil {
			return err
		}
	}
	f.undo[n] = append(f.undo[n], c)
	return nil
}

type node struct {
	fs.LoopbackNode
	fs *FS
}

func (n *node) path() string { return filepath.Join(n.fs.backing, n.Path(n.Root())) }

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		n.fs.mu.Lock()
		n.fs.note(n, 0, 1<<62)
		n.fs.mu.Unlock()
	}
	h, _, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &handle{h, n, flags}, fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, h, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return child, &handle{h, child.Operations().(*node), flags}, fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		n.fs.mu.Lock()
		defer n.fs.mu.Unlock()
		if err := n.fs.note(n, int64(size), 1<<62); err != nil {
			return fs.ToErrno(err)
		}
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

// CopyFileRange is refused, so that programs write instead.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// A handle is an open file.
type handle struct {
	h     fs.FileHandle
	n     *node
	flags uint32
}

func (h *handle) Read(ctx context.Context, b []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return h.h.(fs.FileReader).Read(ctx, b, off)
}

func (h *handle) Write(ctx context.Context, b []byte, off int64) (uint32, syscall.Errno) {
	f := h.n.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.flags&(syscall.O_SYNC|syscall.O_DSYNC) == 0 {
		if err := f.note(h.n, off, int64(len(b))); err != nil {
			return 0, fs.ToErrno(err)
		}
	}
	return h.h.(fs.FileWriter).Write(ctx, b, off)
}

func (h *handle) Fsync(context.Context, uint32) syscall.Errno {
	f := h.n.fs
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.undo, h.n) // the power that is lost is this file system's: the one below need not flush
	return 0
}

func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

func (h *handle) Release(ctx context.Context) syscall.Errno {
	return h.h.(fs.FileReleaser).Release(ctx)
}

func (h *handle) Lseek(ctx context.Context, off uint64, whence uint32) (uint64, syscall.Errno) {
	return h.h.(fs.FileLseeker).Lseek(ctx, off, whence)
}
