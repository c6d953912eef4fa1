package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A look is what a run found out by queries before the first attack. With -journal it
// is kept in a file, and a run that is resumed takes it from there.
type look struct {
	Of     map[string]string `json:"of"`     // what it follows from
	Tried  int               `json:"tried"`  // images the victim was asked about, the first in order
	Right  []int             `json:"right"`  // those to attack, by their numbers in the data
	Pixels string            `json:"pixels"` // digest of them

	Checked  bool     `json:"checked"` // whether the pre-flight is done
	Checks   int      `json:"checks"`  // queries it took
	Warnings []string `json:"warnings"`

	Searched bool        `json:"searched"` // whether images to begin from were sought
	Search   int         `json:"search"`   // queries that took
	Starts   map[int]int `json:"starts"`   // of the classes that have one, its number in the data
}

// spent are the queries of the look.
func (l *look) spent() int { return l.Tried + l.Checks + l.Search }

// A scout looks at the victim.
type scout struct {
	c     *config
	v     zoo.Scorer
	d     data.Dataset
	order []int // in which images are asked about
	path  string
	look  look
}

// newScout takes up the look of an earlier run, if the journal has one. One of other
// settings is an error.
func newScout(c *config, v zoo.Scorer, d data.Dataset) (*scout, error) {
	s := &scout{c: c, v: v, d: d, order: rand.New(rand.NewPCG(c.seed, 0)).Perm(d.Len())}
	if c.data == "embedded" {
		for i := range s.order {
			s.order[i] = i
		}
	}
	labels := sha256.New()
	for i := range d.Len() {
		binary.Write(labels, binary.LittleEndian, int64(d.Label(i)))
	}
	s.look.Of = map[string]string{
		"the victim": fmt.Sprintf("%+v", v.Info()),
		"the images": fmt.Sprintf("%d of %v with labels %x", d.Len(), d.Shape(), labels.Sum(nil)[:8]),
		"-n":         fmt.Sprint(c.n), "-seed": fmt.Sprint(c.seed),
	}
	if c.journal == "" {
		return s, nil
	}
	s.path = lookPath(c.journal)
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	var old look
	if err := json.Unmarshal(b, &old); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	for _, what := range slices.Sorted(maps.Keys(s.look.Of)) {
		if was, is := old.Of[what], s.look.Of[what]; was != is {
			return nil, s.foreign(fmt.Sprintf("%s: there %s, here %s", what, was, is))
		}
	}
	s.look = old
	for _, i := range slices.Concat(old.Right, slices.Collect(maps.Values(old.Starts))) {
		if i < 0 || i >= d.Len() {
			return nil, fmt.Errorf("%s: there is no image %d", s.path, i)
		}
	}
	return s, nil
}

// lookPath is where the look of a journal is kept.
func lookPath(journal string) string {
	return strings.TrimSuffix(journal, filepath.Ext(journal)) + "-look.json"
}

// foreign says that the file is of no use to this run.
func (s *scout) foreign(why string) error {
	return fmt.Errorf("%s was made by a run of another kind (%s); give another -journal, or remove that file and the journals beside it to begin anew and pay again", s.path, why)
}

// save keeps what was found so far.
func (s *scout) save() error {
	if s.path == "" {
		return nil
	}
	return atomicfile.WriteJSON(s.path, s.look)
}

// samples are the first -n images, in random order unless they are the embedded ones,
// that the victim gets right.
func (s *scout) samples(ctx context.Context) ([]attack.Sample, error) {
	l := &s.look
	for l.Tried < len(s.order) && len(l.Right) < s.c.n {
		part := s.order[l.Tried:min(len(s.order), l.Tried+s.c.n-len(l.Right))]
		right, err := s.right(ctx, part)
		if err != nil {
			return nil, err
		}
		l.Tried += len(part)
		l.Right = append(l.Right, right...)
	}
	if len(l.Right) == 0 {
		return nil, fmt.Errorf("victim %q gets none of the %d images right: check its preprocessing and the order of the classes", s.v.Info().Name, l.Tried)
	}
	x, y, err := data.Load(s.d, l.Right)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if err := binary.Write(sum, binary.LittleEndian, x.Data()); err != nil {
		return nil, err
	}
	pixels := hex.EncodeToString(sum.Sum(nil)[:16])
	if l.Pixels != "" && l.Pixels != pixels {
		return nil, s.foreign("the images have other pixels")
	}
	l.Pixels = pixels
	samples := make([]attack.Sample, len(l.Right))
	for i, k := range l.Right {
		samples[i] = attack.Sample{Name: fmt.Sprint(k), X: x.Index(i).Clone(), Label: y[i]}
	}
	return samples, s.save()
}

// right asks the victim about images and returns those that it gets right.
func (s *scout) right(ctx context.Context, part []int) (right []int, err error) {
	x, y, err := data.Load(s.d, part)
	if err != nil {
		return nil, err
	}
	answers := make([]int, len(part))
	if err := zoo.LabelsOf(s.v).Labels(ctx, x, answers); err != nil {
		return nil, err
	}
	for i, k := range part {
		if answers[i] == y[i] {
			right = append(right, k)
		}
	}
	return right, nil
}

// preflight checks that the victim keeps to its description, and that a step shows in
// its scores.
func (s *scout) preflight(ctx context.Context, samples []attack.Sample, step float64) error {
	if s.look.Checked {
		return nil
	}
	x := tensor.New(append([]int{len(samples)}, s.v.Info().Shape...)...)
	labels := make([]int, len(samples))
	for i, sample := range samples {
		copy(x.Index(i).Data(), sample.X.Data())
		labels[i] = sample.Label
	}
	rep, err := zoo.Preflight{Seed: s.c.seed, Noise: s.c.noise, Step: step}.Run(ctx, s.v, x, labels)
	switch {
	case err != nil && rep != nil: // the answers to one sample differ
		return fmt.Errorf("%w; here that is -noise", err)
	case err != nil:
		return err
	}
	s.look.Checked, s.look.Checks, s.look.Warnings = true, rep.Queries, rep.Warnings
	return s.save()
}

// starts are images for targeted attacks on labels to begin from: of each class that a
// goal wants one that the victim gets right, in all the data. A class that has none is
// not there.
func (s *scout) starts(ctx context.Context) (map[int]*tensor.Tensor, error) {
	l := &s.look
	wanted := s.wanted()
	if !l.Searched {
		l.Starts = map[int]int{}
		for _, k := range l.Right {
			if class := s.d.Label(k); slices.Contains(wanted, class) {
				if _, ok := l.Starts[class]; !ok {
					l.Starts[class] = k
				}
			}
		}
		rest := map[int][]int{} // images not asked about, of the classes that lack one
		for _, k := range s.order[l.Tried:] {
			class := s.d.Label(k)
			if _, ok := l.Starts[class]; !ok && slices.Contains(wanted, class) {
				rest[class] = append(rest[class], k)
			}
		}
		for len(rest) > 0 { // one image of each class at a time
			var part []int
			for _, class := range slices.Sorted(maps.Keys(rest)) {
				part = append(part, rest[class][0])
				if rest[class] = rest[class][1:]; len(rest[class]) == 0 {
					delete(rest, class)
				}
			}
			right, err := s.right(ctx, part)
			if err != nil {
				return nil, err
			}
			l.Search += len(part)
			for _, k := range right {
				l.Starts[s.d.Label(k)] = k
				delete(rest, s.d.Label(k))
			}
		}
		l.Searched = true
		if err := s.save(); err != nil {
			return nil, err
		}
	}
	images := map[int]*tensor.Tensor{}
	for class, k := range l.Starts {
		x, _, err := data.Load(s.d, []int{k})
		if err != nil {
			return nil, err
		}
		images[class] = x.Index(0)
	}
	return images, nil
}

// wanted are the classes that targeted attacks on the samples want.
func (s *scout) wanted() []int {
	var classes []int
	for _, k := range s.look.Right {
		if class := zoo.NextClass(s.d.Label(k), s.v.Info().Classes); !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
	}
	slices.Sort(classes)
	return classes
}
