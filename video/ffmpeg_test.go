package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mettleml/mettle/tensor"
)

// fakeVariable makes the test binary act as ffmpeg; its value says how.
const fakeVariable = "METTLE_TEST_FFMPEG"

// fakeFFmpeg writes three frames of 4 by 2 pixels, all of value 10, 20 and 30, and goes
// wrong in a way of its own.
func fakeFFmpeg(how string) int {
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	say("[info] Input #0, test, from 'x':")
	switch how {
	case "old":
		if slices.Contains(os.Args, "-fps_mode") {
			say("[fatal] Unrecognized option 'fps_mode'.")
			say("[fatal] Error splitting the argument list: Option not found")
			return 1
		}
	case "nothing":
		return 0
	case "exit":
		return 3
	case "fails":
		say("[mov @ 0x1] [error] moov atom not found")
		say("[error] file:%s: Invalid data found when processing input", inputOf(os.Args))
		return 1
	case "talks":
		say("%s", strings.Repeat("x", 1<<20))
		say("[Parsed_showinfo_0 @ 0x1] [info] %s", strings.Repeat("n:   0 ", 10000))
	}
	say("[Parsed_showinfo_0 @ 0x1] [info] config in time_base: 1/30000, frame_rate: 30000/1001")
	for k := range 3 {
		w, h := 4, 2
		if how == "huge" {
			w = 1 << 30
		}
		if how == "grows" && k == 2 {
			w, h = 6, 2
		}
		if how == "damaged" && k == 1 {
			say("[h264 @ 0x1] [error] error while decoding MB 4 13")
		}
		say("[Parsed_showinfo_0 @ 0x1] [info] n:   %d pts:   %d pts_time:0 pos: 1 fmt:yuv420p sar:1/1 s:%dx%d i:P iskey:1 type:I ", k, k, w, h)
		n := 3 * w * h
		if how == "short" && k == 2 {
			n = 5
		}
		if how == "hangs" && k == 2 {
			time.Sleep(time.Hour)
		}
		os.Stdout.Write(bytes.Repeat([]byte{byte(10 * (k + 1))}, n))
	}
	switch how {
	case "more":
		os.Stdout.Write([]byte{1})
	case "dies":
		say("[fatal] out of memory")
		return 9
	}
	return 0
}

func inputOf(args []string) string {
	return strings.TrimPrefix(args[slices.Index(args, "-i")+1], "file:")
}

func TestFFmpegFailures(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "a.mp4"), []byte("what no decoder here knows"))
	for _, c := range []struct {
		how, want string // want is empty if all is well
		damaged   bool
		frames    int
	}{
		{"", "", false, 3}, // how is "well"
		{"old", "", false, 3},
		{"talks", "", false, 3},
		{"nothing", "ffmpeg: " + path + ": frame 0: no frames", false, 0},
		{"exit", "frame 0: exit status 3", false, 0},
		{"fails", "frame 0: Invalid data found when processing input", false, 0},
		{"fails", "frame 0: Invalid data found when processing input", true, 0},
		{"huge", "frame 0: 1073741824 by 2 pixels", false, 0},
		{"grows", "frame 2: 6 by 2 pixels, the first frame has 4 by 2", false, 2},
		{"damaged", "frame 1: error while decoding MB 4 13", false, 1},
		{"damaged", "", true, 3},
		{"short", "frame 2: it announced 3 frames and wrote another number", false, 2},
		{"more", "frame 3: it announced 3 frames and wrote another number", false, 3},
		{"dies", "frame 3: out of memory", false, 3},
		{"dies", "frame 3: out of memory", true, 3},
	} {
		how := c.how
		if how == "" {
			how = "well"
		}
		t.Setenv(fakeVariable, how)
		for range 3 { // the order of what comes through two pipes must not matter
			s, err := Open(background, path, Options{FFmpeg: FFmpeg{Program: program, Damaged: c.damaged}})
			frames := 0
			if err == nil {
				if i := s.Info(); i != (Info{"ffmpeg", 3, 2, 4, 30000.0 / 1001}) {
					t.Errorf("%s: %+v", how, i)
				}
				var x *tensor.Tensor
				x, err = collect(s)
				frames = x.Dim(0)
				for k := range frames {
					if v := x.At(k, 1, 1, 1); v != unit[10*(k+1)] {
						t.Errorf("%s: frame %d is %v", how, k, v*255)
					}
				}
				s.Close()
			}
			if frames != c.frames {
				t.Errorf("%s: %d frames, want %d (%v)", how, frames, c.frames, err)
			}
			if c.want != "" {
				wants(t, err, c.want)
			} else if err != nil {
				t.Errorf("%s: %v", how, err)
			}
		}
	}
}

// TestFFmpegEnds checks that the process ends with the context, and with the source.
func TestFFmpegEnds(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "a.mp4"), []byte("what no decoder here knows"))
	t.Setenv(fakeVariable, "hangs")
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	p, err := FFmpeg{}.start(ctx, program, path, "-fps_mode")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.next(nil); err != nil {
			t.Fatal(err)
		}
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := p.next(nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	p.close()
	if p.cmd.ProcessState == nil {
		t.Error("the process still runs after the context")
	}

	if p, err = (FFmpeg{}).start(background, program, path, "-fps_mode"); err != nil {
		t.Fatal(err)
	}
	p.close()
	if p.cmd.ProcessState == nil {
		t.Error("the process still runs after Close")
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	if s, err := Open(ctx, path, Options{FFmpeg: FFmpeg{Program: program}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v; want the context's error", s, err)
	}
}

func TestFFmpegMissing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "a.mp4"), []byte("what no decoder here knows"))
	_, err := Open(background, path, Options{FFmpeg: FFmpeg{Program: "no-such-ffmpeg"}})
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "apt-get install ffmpeg") || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	_, err = Open(background, path, Options{FFmpeg: FFmpeg{Never: true}})
	wants(t, err, path+": neither Y4M, AVI, GIF, npy nor a picture")
	if _, err := Open(background, path+"x", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	_, err = Open(background, write(t, path, nil), Options{})
	wants(t, err, path+": the file is empty")
}

// TestFFmpeg reads what ffmpeg encoded as ffmpeg decodes it.
func TestFFmpeg(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "-odd name%d, concat:.mkv") // nothing in it has a meaning
	ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=s=64x48:r=30000/1001:d=1.01", "-c:v", "mpeg4", "-g", "5", "file:"+path)
	want := rgb24(t, ffmpeg(t, nil, "-i", "file:"+path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), 48, 64)
	clip, err := Read(background, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "mpeg4 in Matroska", clip.X, want)
	if clip.FPS < 29.96 || clip.FPS > 29.98 || clip.Name != path || want.Dim(0) < 30 {
		t.Errorf("%v frames per second, name %s, %d frames", clip.FPS, clip.Name, want.Dim(0))
	}

	// Several at once, each stopping where it likes.
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			part, err := Read(background, path, Options{Start: k, Stop: k + 3, FFmpeg: FFmpeg{Threads: 2}})
			if err != nil {
				t.Error(err)
				return
			}
			for i, v := range part.X.Data() {
				if v != want.Slice(k, k+3).Data()[i] {
					t.Errorf("frames %d to %d differ at %d", k, k+3, i)
					return
				}
			}
		})
	}
	wg.Wait()

	// Truncated and damaged files.
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := write(t, filepath.Join(dir, "cut.mkv"), file[:len(file)*2/3])
	_, err = Read(background, cut, Options{})
	wants(t, err, "ffmpeg: "+cut)
	lenient, err := Read(background, cut, Options{FFmpeg: FFmpeg{Damaged: true}})
	if err != nil || lenient.X.Dim(0) < 10 || lenient.X.Dim(0) >= want.Dim(0) {
		t.Errorf("%v", err)
	}
	_, err = Read(background, write(t, filepath.Join(dir, "text.mp4"), []byte(strings.Repeat("hello ", 1000))), Options{})
	wants(t, err, "Invalid data found")

	// A codec that the AVI reader does not know.
	avi := filepath.Join(dir, "a.avi")
	ffmpeg(t, nil, "-i", "file:"+path, "-c", "copy", avi)
	if clip, err = Read(background, avi, Options{}); err != nil {
		t.Fatal(err)
	}
	same(t, "mpeg4 in AVI", clip.X, want)

	// Sound alone.
	wav := filepath.Join(dir, "a.wav")
	ffmpeg(t, nil, "-f", "lavfi", "-i", "sine=d=0.1", wav)
	_, err = Read(background, wav, Options{})
	wants(t, err, "ffmpeg: "+wav)

	// Playlists open nothing but files.
	list := write(t, filepath.Join(dir, "list.m3u8"), []byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n"))
	if _, err = Read(background, list, Options{}); err == nil || !strings.Contains(err.Error(), list) {
		t.Errorf("%v", err)
	}
}

// TestFFmpegSizeChange joins two transport streams of different size.
func TestFFmpegSizeChange(t *testing.T) {
	needFFmpeg(t)
	dir := t.TempDir()
	var file []byte
	for _, size := range []string{"64x48", "96x80"} {
		part := filepath.Join(dir, size+".ts")
		ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=s="+size+":r=10:d=0.4", "-c:v", "mpeg2video", part)
		b, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, b...)
	}
	path := write(t, filepath.Join(dir, "both.ts"), file)
	s, err := Open(background, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for err == nil {
		err = s.Next(nil)
	}
	if err == io.EOF {
		t.Fatal("no error")
	}
	wants(t, err, "96 by 80 pixels, the first frame has 64 by 48")
}
