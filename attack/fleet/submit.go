package fleet

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A Campaign is what the store's documents say about a campaign.
type Campaign struct {
	Name      string          `json:"name"`
	Object    string          `json:"object"`    // the description
	Platform  attack.Platform `json:"platform"`  // of the workers that can reproduce it
	Units     []int           `json:"units"`     // of each attack
	Attacks   []string        `json:"attacks"`   // their names
	Rate      float64         `json:"rate"`      // queries per second; 0: no limit
	Address   string          `json:"address"`   // of the victim
	Submitted time.Time       `json:"submitted"` // by the store's clock
	Ready     bool            `json:"ready"`     // whether all units were put into the queue
}

// A description is what a worker has to know beside.
type description struct {
	File     File              `json:"file"`
	Weights  string            `json:"weights,omitempty"`  // object of the victim's file
	Networks map[string]string `json:"networks,omitempty"` // objects, "" for one that the library ships
	Plans    []json.RawMessage `json:"plans"`
	Samples  []string          `json:"samples"` // objects
	Victim   zoo.Info          `json:"victim"`  // as far as a report tells it
}

func campaignKey(name string) string { return "campaign." + name }

// units is the number of units of all attacks.
func (c *Campaign) units() (n int) {
	for _, k := range c.Units {
		n += k
	}
	return n
}

// unit names unit index of plan p.
func (c *Campaign) unit(p, index int) unitID {
	ordinal := index
	for _, k := range c.Units[:p] {
		ordinal += k
	}
	return unitID{campaign: c.Name, plan: p, index: index, ordinal: ordinal, key: fmt.Sprintf("%d.%d", p, index)}
}

// readCampaign returns a campaign's document.
func readCampaign(ctx context.Context, s Store, name string) (*Campaign, error) {
	var c Campaign
	err := s.Update(ctx, campaignKey(name), func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, fmt.Errorf("fleet: there is no campaign %s", name)
		}
		return nil, json.Unmarshal(old, &c)
	})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// Submit stores a campaign and puts its units into the queue. One that was submitted
// before goes on: with another limit or rate, and from where it was stopped. A limit holds
// at once; workers take over a rate with a unit that they begin, some seconds later.
// Another campaign of the same name is an error.
func (f *Fleet) Submit(ctx context.Context, file *File) (*Campaign, error) {
	d, c, err := f.prepare(ctx, file)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if c.Object, err = f.Objects.Put(ctx, b); err != nil {
		return nil, err
	}
	now, err := f.Store.Now(ctx)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	c.Submitted = now
	err = f.Store.Update(ctx, campaignKey(c.Name), func(old []byte) ([]byte, error) {
		if old != nil {
			var was Campaign
			if err := json.Unmarshal(old, &was); err != nil {
				return nil, fmt.Errorf("fleet: campaign %s: %w", c.Name, err)
			}
			if was.Object != c.Object {
				return nil, f.differs(ctx, &was, d)
			}
			c.Submitted = was.Submitted
		}
		c.Ready = false
		return json.Marshal(c)
	})
	if err != nil {
		return nil, err
	}
	var m Money
	err = f.Store.Update(ctx, moneyKey(c.Name), func(old []byte) ([]byte, error) {
		m = Money{Units: c.units()}
		if old != nil {
			if err := json.Unmarshal(old, &m); err != nil {
				return nil, fmt.Errorf("fleet: the money document of campaign %s: %w", c.Name, err)
			}
			if committed := m.committed(); file.Limit > 0 && file.Limit < committed {
				return nil, fmt.Errorf("fleet: campaign %s: limit %d: %d queries are spent or reserved already", c.Name, file.Limit, committed)
			}
		}
		m.Limit, m.Stopped, m.Failures, m.Waiting = file.Limit, "", nil, nil
		return json.Marshal(&m)
	})
	if err != nil {
		return nil, err
	}
	for p, n := range c.Units {
		for i := range n {
			u := c.unit(p, i)
			if m.Done.has(u.ordinal) {
				continue
			}
			if err := f.stream.enqueue(ctx, c.Platform, u); err != nil {
				return nil, err
			}
		}
	}
	c.Ready = true
	return c, f.Store.Update(ctx, campaignKey(c.Name), func([]byte) ([]byte, error) { return json.Marshal(c) })
}

// differs says in what a campaign is another than the one of its name.
func (f *Fleet) differs(ctx context.Context, was *Campaign, d *description) error {
	other := func(what string) error {
		return fmt.Errorf("fleet: campaign %s was submitted with %s; give this one another name", was.Name, what)
	}
	b, err := f.Objects.Get(ctx, was.Object)
	if err != nil {
		return err
	}
	var old description
	if err := json.Unmarshal(b, &old); err != nil {
		return err
	}
	for i := range min(len(old.Plans), len(d.Plans)) {
		var p, q attack.Plan
		if err := errors.Join(json.Unmarshal(old.Plans[i], &p), json.Unmarshal(d.Plans[i], &q)); err != nil {
			return err
		}
		was, err1 := json.Marshal(p.Fingerprint)
		is, err2 := json.Marshal(q.Fingerprint)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !bytes.Equal(was, is) {
			return other(fmt.Sprintf("another plan of attack %d: there %s, here %s", i, was, is))
		}
	}
	return other("other settings")
}

// prepare opens all that a file names, makes the plans and stores what workers need.
func (f *Fleet) prepare(ctx context.Context, file *File) (*description, *Campaign, error) {
	d := &description{File: file.content(), Networks: map[string]string{}}
	o, err := file.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	c := &Campaign{Name: file.Name, Rate: file.Rate, Address: file.Victim.URL, Platform: attack.ThisPlatform()}
	for _, one := range o.campaigns {
		p, err := one.Plan(o.samples)
		if err != nil {
			return nil, nil, err
		}
		b, err := json.Marshal(p)
		if err != nil {
			return nil, nil, err
		}
		d.Plans = append(d.Plans, b)
		c.Units = append(c.Units, len(p.Units))
		c.Attacks = append(c.Attacks, p.Fingerprint.Attack)
	}
	if o.weights != nil {
		if d.Weights, err = f.Objects.Put(ctx, o.weights); err != nil {
			return nil, nil, err
		}
	}
	for name, b := range o.networks {
		if b == nil {
			d.Networks[name] = ""
		} else if d.Networks[name], err = f.Objects.Put(ctx, b); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range o.samples {
		b, err := encodeSample(s)
		if err != nil {
			return nil, nil, err
		}
		name, err := f.Objects.Put(ctx, b)
		if err != nil {
			return nil, nil, err
		}
		d.Samples = append(d.Samples, name)
	}
	d.Victim = zoo.Info{Name: o.info.Name, Shape: o.info.Shape, Classes: o.info.Classes, Scores: o.info.Scores}
	return d, c, nil
}

// A sampleHead is the line of JSON that begins a sample's object. The pixels follow, and
// then those of its start image: float32, little-endian.
type sampleHead struct {
	Name  string    `json:"name"`
	Label int       `json:"label"`
	Shape []int     `json:"shape"`
	Goal  *zoo.Goal `json:"goal,omitempty"`
	Start bool      `json:"start,omitempty"`
}

func encodeSample(s attack.Sample) ([]byte, error) {
	b, err := json.Marshal(sampleHead{s.Name, s.Label, s.X.Shape(), s.Goal, s.Start != nil})
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	b = appendPixels(b, s.X)
	if s.Start != nil {
		b = appendPixels(b, s.Start)
	}
	return b, nil
}

func appendPixels(b []byte, x *tensor.Tensor) []byte {
	for _, v := range x.Data() {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func readSample(ctx context.Context, o Objects, name string) (attack.Sample, error) {
	b, err := o.Get(ctx, name)
	if err != nil {
		return attack.Sample{}, err
	}
	return decodeSample(b)
}

func decodeSample(b []byte) (s attack.Sample, err error) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	var h sampleHead
	if err := json.Unmarshal(line, &h); err != nil {
		return s, fmt.Errorf("fleet: a sample: %w", err)
	}
	size := 1
	for _, d := range h.Shape {
		if d <= 0 || size > len(rest)/d {
			return s, errors.New("fleet: a sample is cut short")
		}
		size *= d
	}
	images := 1
	if h.Start {
		images = 2
	}
	if len(rest) != 4*size*images {
		return s, errors.New("fleet: a sample is cut short")
	}
	s = attack.Sample{Name: h.Name, Label: h.Label, Goal: h.Goal, X: pixels(rest, h.Shape)}
	if h.Start {
		s.Start = pixels(rest[4*size:], h.Shape)
	}
	return s, nil
}

func pixels(b []byte, shape []int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data() {
		x.Data()[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}
