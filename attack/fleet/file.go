package fleet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A File describes a campaign in JSON:
//
//	{
//	  "victim": {"url": "http://localhost:8080/v2/models/net4"},
//	  "samples": {"images": "t10k-images-idx3-ubyte.gz", "labels": "t10k-labels-idx1-ubyte.gz", "n": 100},
//	  "attacks": [{"attack": "square", "options": {"Eps": 2}}, {"attack": "hopskipjump"}],
//	  "budget": 1000, "limit": 100000, "rate": 50, "seed": 1
//	}
//
// Paths are relative to the file.
type File struct {
	Name    string        `json:"name,omitempty"` // of the campaign; "": the file's, without its ending
	Victim  VictimSpec    `json:"victim"`
	Samples SampleSpec    `json:"samples"`
	Attacks []attack.Spec `json:"attacks"`
	// Networks are files of package models, or mnist-attacker and mnist-decoder which the
	// library ships, by the names that the options of attacks give them.
	Networks map[string]string `json:"networks,omitempty"`

	Goal   string       `json:"goal,omitempty"`   // untargeted or targeted (the next class); "": untargeted
	Budget int          `json:"budget,omitempty"` // queries of an attack on a sample; 0: attack.DefaultBudget
	Limit  int64        `json:"limit,omitempty"`  // queries of the whole campaign, all that may be paid for; 0: none
	Rate   float64      `json:"rate,omitempty"`   // queries per second at the victim, of all workers together; 0: no limit
	Gather int          `json:"gather,omitempty"` // join the calls of a worker's units into calls of so many queries; 0: none
	Seed   uint64       `json:"seed,omitempty"`
	Keep   tensor.DType `json:"keep,omitempty"` // of adversarial samples: F32, F16 or U8; "": F32

	dir string // that paths are relative to
}

// A VictimSpec says who is attacked: one of Network, File and URL.
type VictimSpec struct {
	Network string `json:"network,omitempty"` // net4, which the library ships
	File    string `json:"file,omitempty"`    // safetensors, as models.Save writes it
	URL     string `json:"url,omitempty"`     // a server that speaks the Open Inference Protocol

	// Identity names the victim behind URL in place of its address. Workers may reach it
	// by other addresses. "": the address.
	Identity   string          `json:"identity,omitempty"`
	Scores     zoo.ScoreKind   `json:"scores,omitempty"`     // what it answers; the servers do not say
	Shape      []int           `json:"shape,omitempty"`      // of a sample, if the server or the file do not say
	Classes    int             `json:"classes,omitempty"`    // if the server does not say
	Model      string          `json:"model,omitempty"`      // if the address does not end in one
	Input      string          `json:"input,omitempty"`      // name of the tensor, if there are several
	Output     string          `json:"output,omitempty"`     // name of the tensor, if there are several
	Encoding   string          `json:"encoding,omitempty"`   // json or binary; "": binary if the server has it
	Preprocess data.Preprocess `json:"preprocess,omitzero"`  // from [0,1] to what the server takes
	Batch      int             `json:"batch,omitempty"`      // samples of a request at most; 0: 64
	Timeout    Duration        `json:"timeout,omitempty"`    // of a request; 0: 30 s
	Retries    int             `json:"retries,omitempty"`    // of a request; 0: 4, negative: none
	TokenFrom  string          `json:"token_from,omitempty"` // environment variable of the workers with the bearer token
}

// A Duration is a time in JSON, such as "30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// A SampleSpec says what is attacked: one of Folder, Images and Array.
type SampleSpec struct {
	Folder string   `json:"folder,omitempty"` // a directory of pictures with one for each class
	Order  []string `json:"order,omitempty"`  // with Folder: names of the victim's classes in order; nil: numbers, or all directories in order
	Images string   `json:"images,omitempty"` // IDX, may be compressed
	Array  string   `json:"array,omitempty"`  // npy, [N, sample...] in [0,1]
	Labels string   `json:"labels,omitempty"` // with Images: IDX; with Array: npy

	First int `json:"first,omitempty"` // sample
	N     int `json:"n,omitempty"`     // samples; 0: all
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ReadFile reads and checks a campaign file.
func ReadFile(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	f, err := ParseFile(b, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("fleet: campaign file %s: %w", path, err)
	}
	if f.Name == "" {
		f.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if !validName.MatchString(f.Name) {
		return nil, fmt.Errorf("fleet: campaign file %s: the name %q: letters, digits, - and _ only, at most 64", path, f.Name)
	}
	return f, nil
}

// ParseFile parses and checks a campaign file whose paths are relative to dir.
func ParseFile(b []byte, dir string) (*File, error) {
	f := &File{dir: dir}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		if s := new(json.SyntaxError); errors.As(err, &s) {
			return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(b[:s.Offset], []byte("\n")), err)
		}
		return nil, err
	}
	if d.More() {
		return nil, errors.New("something follows the campaign")
	}
	return f, f.check()
}

func (f *File) check() error {
	one := func(what string, given ...string) error {
		n := 0
		for _, g := range given {
			if g != "" {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("exactly one of %s", what)
		}
		return nil
	}
	v, s := &f.Victim, &f.Samples
	switch {
	case len(f.Attacks) == 0:
		return errors.New(`no attacks; write "attacks": [{"attack": "square"}]`)
	case f.Goal != "" && f.Goal != "untargeted" && f.Goal != "targeted":
		return fmt.Errorf("goal %q: untargeted or targeted", f.Goal)
	case f.Budget < 0 || f.Limit < 0 || f.Rate < 0 || f.Gather < 0 || s.First < 0 || s.N < 0:
		return errors.New("budget, limit, rate, gather, first and n: none may be negative")
	case v.Encoding != "" && v.Encoding != "json" && v.Encoding != "binary":
		return fmt.Errorf("victim: encoding %q: json or binary", v.Encoding)
	case s.Folder == "" && s.Labels == "":
		return errors.New("samples: no labels")
	}
	if err := one("victim.network, victim.file and victim.url", v.Network, v.File, v.URL); err != nil {
		return err
	}
	if err := one("samples.folder, samples.images and samples.array", s.Folder, s.Images, s.Array); err != nil {
		return err
	}
	for i, a := range f.Attacks {
		if _, ok := attack.Find(a.Attack); !ok {
			_, err := a.Build(nil) // names those there are
			return fmt.Errorf("attacks[%d]: %w", i, err)
		}
	}
	return nil
}

// path is relative to the file's directory.
func (f *File) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(f.dir, p)
}

// content is the file as far as queries follow from it: money, rate and the way to the
// victim may change while it is under way.
func (f *File) content() File {
	c := *f
	c.Limit, c.Rate, c.dir = 0, 0, ""
	return c
}

// load reads the samples for a victim of the given shape and number of classes.
func (f *File) load(info zoo.Info) ([]attack.Sample, error) {
	s := &f.Samples
	fail := func(err error) ([]attack.Sample, error) { return nil, fmt.Errorf("fleet: samples: %w", err) }
	var d data.Dataset
	var err error
	switch {
	case s.Folder != "":
		d, err = data.OpenFolder(f.path(s.Folder), info.Shape, data.FolderOptions{Classes: s.Order, Count: info.Classes})
	case s.Images != "":
		d, err = data.LoadIDX(f.path(s.Images), f.path(s.Labels), info.Classes)
	default:
		d, err = loadArray(f.path(s.Array), f.path(s.Labels), info.Classes)
	}
	if err != nil {
		return fail(err)
	}
	n := cmp.Or(s.N, d.Len()-s.First)
	if s.First+n > d.Len() || n <= 0 {
		return fail(fmt.Errorf("%d from %d: there are %d", n, s.First, d.Len()))
	}
	samples := make([]attack.Sample, n)
	for i := range samples {
		k := s.First + i
		x := tensor.New(d.Shape()...)
		if err := d.Read(k, x); err != nil {
			return fail(err)
		}
		samples[i] = attack.Sample{Name: fmt.Sprint(k), X: x, Label: d.Label(k)}
	}
	if f.Goal == "targeted" {
		err = f.starts(samples, d, info.Classes)
	}
	return samples, err
}

// starts gives each sample an image of the class that is wanted to begin from, for attacks
// on labels.
func (f *File) starts(samples []attack.Sample, d data.Dataset, classes int) error {
	first := map[int]*tensor.Tensor{}
	for k := range d.Len() {
		if y := d.Label(k); first[y] == nil {
			x := tensor.New(d.Shape()...)
			if err := d.Read(k, x); err != nil {
				return fmt.Errorf("fleet: samples: %w", err)
			}
			first[y] = x
		}
	}
	for i := range samples {
		samples[i].Start = first[zoo.NextClass(samples[i].Label, classes)]
	}
	return nil
}

func loadArray(images, labels string, classes int) (data.Dataset, error) {
	x, err := tensor.LoadNPY(images)
	if err != nil {
		return nil, err
	}
	y, err := tensor.LoadNPY(labels)
	if err != nil {
		return nil, err
	}
	ints := make([]int, y.Len())
	for i, v := range y.Data() {
		ints[i] = int(v)
	}
	return data.NewTensors(x, ints, classes)
}
