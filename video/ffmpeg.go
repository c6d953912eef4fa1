package video

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/mettleml/mettle/tensor"
)

// FFmpeg reads all formats of the program ffmpeg, through a subprocess that writes pixels
// to a pipe. [Open] uses it for files that no other decoder reads.
type FFmpeg struct {
	Program string `json:",omitempty"` // its name or path; "" means ffmpeg in PATH
	Threads int    `json:",omitempty"` // threads of its decoder; 0 means 1
	Damaged bool   `json:",omitempty"` // accept its output for a damaged file
	Never   bool   `json:",omitempty"` // do not use it
}

// Open starts the program on the file at path. Every decoded frame is delivered once,
// turned upright if the file says so, converted by ffmpeg to 8 bits of red, green and
// blue, whatever its own rate, depth and matrix are. Playlists and such cannot make
// ffmpeg open anything but files. The process ends by itself, or with the source or ctx.
//
// Version 4.4 or later is needed. If the program cannot be found, the error says so
// and has the cause [exec.ErrNotFound]. If it fails, the error is a
// [*tensor.FormatError] whose reason is the last error that it wrote. So it is if
// ffmpeg reports any error in the data, unless Damaged is set. Frames that change their
// size are an error.
func (f FFmpeg) Open(ctx context.Context, path string) (Source, error) {
	program, err := exec.LookPath(cmp.Or(f.Program, "ffmpeg"))
	if err != nil {
		return nil, fmt.Errorf("%s: to read this takes the program ffmpeg: %w; install it (on Debian by apt-get install ffmpeg) or name it in FFmpeg.Program", path, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	p, err := f.start(ctx, program, path, "-fps_mode")
	if err != nil && p != nil && strings.Contains(p.first, "fps_mode") {
		p, err = f.start(ctx, program, path, "-vsync") // before version 5.1
	}
	if err != nil {
		return nil, err
	}
	return &source{info: Info{Format: "ffmpeg", C: 3, H: p.h, W: p.w, FPS: p.fps}, next: p.next, close: p.close}, nil
}

// start starts the program and waits for its first frame. The name of the option for
// frames that are to come as they are depends on the version.
func (f FFmpeg) start(ctx context.Context, program, path, passthrough string) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{damaged: f.Damaged, path: path, ctx: ctx, cancel: cancel}
	p.changed.L = &p.mu
	threads := strconv.Itoa(cmp.Or(f.Threads, 1))
	p.cmd = exec.CommandContext(ctx, program,
		"-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info",
		"-protocol_whitelist", "file,pipe", "-threads", threads, "-filter_threads", threads,
		"-i", "file:"+path, "-map", "0:v:0", "-vf", "showinfo=checksum=0", passthrough, "passthrough", "-autoscale", "0",
		"-c:v", "rawvideo", "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1")
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%s: ffmpeg did not start: %w", path, err)
	}
	p.stdout = bufio.NewReaderSize(stdout, 1<<16)
	p.listener.Go(func() { p.listen(stderr) })
	if p.w, p.h, err = p.size(0); err == io.EOF {
		if err = p.end(); err == io.EOF {
			err = p.fail("no frames", nil)
		}
	} else if err == nil {
		if reason := checkSize(p.w, p.h); reason != "" {
			err = p.fail(reason, nil)
		}
	}
	if err != nil {
		err = p.stopped(err)
		p.close()
		return p, err
	}
	p.raw = make([]byte, 3*p.w*p.h)
	return p, nil
}

// process is a running ffmpeg. Its filter showinfo writes a line for each frame to the
// standard error before the frame goes to the pipe: this is how the size of frames is
// known, and whether anything was wrong before.
type process struct {
	path     string
	damaged  bool
	ctx      context.Context
	cancel   func()
	cmd      *exec.Cmd
	stdout   *bufio.Reader
	listener sync.WaitGroup
	w, h     int
	n        int // frames read
	raw      []byte
	waited   bool

	mu      sync.Mutex
	changed sync.Cond
	fps     float64
	sizes   [][2]int // width and height of frames from number n on that showinfo has told
	told    int      // frames that showinfo has told
	wrong   int      // frames told before the first error, if last is not empty
	first   string   // the first error
	last    string   // the last one
	done    bool     // there is no more to hear
}

var (
	showFrame = regexp.MustCompile(`^\[Parsed_showinfo.*\] n: *\d+ .* s:(\d+)x(\d+) `)
	showRate  = regexp.MustCompile(`^\[Parsed_showinfo.*\] config in .*frame_rate: *(\d+)/(\d+)`)
	logError  = regexp.MustCompile(`\[(error|fatal|panic)\] *(.*)`)
)

// listen reads the standard error to its end.
func (p *process) listen(r io.Reader) {
	b := bufio.NewReaderSize(r, 4096)
	for {
		line, prefix, err := b.ReadLine()
		for more := prefix; more && err == nil; { // the rest of a very long line
			_, more, err = b.ReadLine()
		}
		p.mu.Lock()
		if err != nil {
			p.done = true
			p.changed.Broadcast()
			p.mu.Unlock()
			return
		}
		p.hear(line)
		p.mu.Unlock()
	}
}

// hear takes note of a line.
func (p *process) hear(line []byte) {
	line = bytes.TrimSpace(line)
	if m := showFrame.FindSubmatch(line); m != nil {
		w, err1 := strconv.Atoi(string(m[1]))
		h, err2 := strconv.Atoi(string(m[2]))
		if err1 != nil || err2 != nil {
			w, h = 0, 0
		}
		p.sizes = append(p.sizes, [2]int{w, h})
		p.told++
		p.changed.Broadcast()
	} else if m := showRate.FindSubmatch(line); m != nil && p.fps == 0 {
		num, _ := strconv.ParseFloat(string(m[1]), 64)
		if den, _ := strconv.ParseFloat(string(m[2]), 64); den > 0 {
			p.fps = num / den
		}
	} else if m := logError.FindSubmatch(line); m != nil {
		text := strings.TrimPrefix(string(m[2]), "file:"+p.path+": ")
		if p.first == "" {
			p.wrong, p.first = p.told, text
		}
		p.last = text
	}
}

// size waits until the size of frame n is known. It returns io.EOF if there is no such
// frame, and an error if something was wrong before it.
func (p *process) size(n int) (w, h int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.told <= n && !p.done {
		p.changed.Wait()
	}
	if p.last != "" && p.wrong <= n && !p.damaged {
		return 0, 0, p.fail(p.last, nil)
	}
	if p.told <= n {
		return 0, 0, io.EOF
	}
	s := p.sizes[0]
	p.sizes = p.sizes[1:]
	return s[0], s[1], nil
}

// fail returns the error for the frame that comes next.
func (p *process) fail(reason string, cause error) error {
	return &tensor.FormatError{Format: "ffmpeg", File: p.path, Place: fmt.Sprintf("frame %d", p.n), Reason: reason, Err: cause}
}

func (p *process) next(dst *tensor.Tensor) error {
	if p.n > 0 {
		w, h, err := p.size(p.n)
		if err == io.EOF {
			return p.end()
		}
		if err == nil && (w != p.w || h != p.h) {
			err = p.fail(fmt.Sprintf("%d by %d pixels, the first frame has %d by %d", w, h, p.w, p.h), nil)
		}
		if err != nil {
			return p.stopped(err)
		}
	}
	if dst == nil {
		if _, err := p.stdout.Discard(len(p.raw)); err != nil {
			return p.end()
		}
	} else {
		if _, err := io.ReadFull(p.stdout, p.raw); err != nil {
			return p.end()
		}
		fromRGB24(dst.Data(), p.raw)
	}
	p.n++
	return nil
}

// stopped returns the context's error in place of what follows from it.
func (p *process) stopped(err error) error {
	if cause := context.Cause(p.ctx); cause != nil {
		return fmt.Errorf("%s: frame %d: %w", p.path, p.n, cause)
	}
	return err
}

// end waits for the process and returns io.EOF if all is well.
func (p *process) end() error {
	rest, _ := io.Copy(io.Discard, p.stdout)
	p.listener.Wait()
	err := p.cmd.Wait()
	p.waited = true
	p.mu.Lock()
	told, last := p.told, p.last
	p.mu.Unlock()
	switch {
	case p.ctx.Err() != nil:
		return p.stopped(nil)
	case err != nil:
		return p.fail(cmp.Or(last, err.Error()), err)
	case last != "" && !p.damaged:
		return p.fail(last, nil)
	case told != p.n || rest > 0:
		return p.fail(fmt.Sprintf("it announced %d frames and wrote another number", told), nil)
	}
	return io.EOF
}

// close ends the process.
func (p *process) close() error {
	p.cancel()
	if !p.waited {
		p.waited = true
		p.cmd.Wait() // its error is that it was killed
		p.listener.Wait()
	}
	return nil
}
