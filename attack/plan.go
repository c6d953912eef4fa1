package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// attackVersion changes whenever an attack would ask other queries than before
// under the same options, and whenever the fingerprint takes in more.
const attackVersion = "7"

// A Plan is a campaign cut into units, one per sample, that can run anywhere and in any
// order. [Plan.Run] attacks one unit, and [Plan.Merge] combines the results of all. A
// unit's result follows from the plan alone, so the merged records equal those of
// [Campaign.Run] byte for byte.
//
// In JSON a plan is its fingerprint and its units. Another machine calls [Campaign.Adopt]
// to run it. A plan read from JSON alone can merge, but not run.
type Plan struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Norm        Norm        `json:"norm"`   // of the attack
	Victim      string      `json:"victim"` // its name
	Units       []Unit      `json:"units"`

	c      *Campaign
	sample func(u Unit) (Sample, error)

	once    sync.Once // makes what follows, if calls are to be joined
	gathers gathers
}

// A Unit is the attack on one sample.
type Unit struct {
	Index  int      `json:"index"` // in the campaign's list of samples
	Name   string   `json:"name,omitempty"`
	Goal   zoo.Goal `json:"goal"`
	Seed   uint64   `json:"seed"`
	Digest string   `json:"digest"` // of the sample, its goal and its start image
}

// A UnitResult is the outcome of a unit.
type UnitResult struct {
	Plan   string  `json:"plan"` // its digest
	Record *Record `json:"record"`
	// Sent and Answered count the unit's queries over all its runs. The victim may also
	// have charged for queries that were sent and not answered.
	Sent     int     `json:"sent"`
	Answered int     `json:"answered"`
	Seconds  float64 `json:"seconds"`
}

// A Fingerprint is everything that determines the queries of a campaign. A journal is
// replayed, and a unit's result is merged, only if the fingerprints are equal.
type Fingerprint struct {
	Attack  string          `json:"attack"`
	Options json.RawMessage `json:"options"`
	// Hidden is the attack itself if About returns other Options.
	Hidden json.RawMessage `json:"hidden,omitempty"`
	Goal   string          `json:"goal"`
	Budget int             `json:"budget"` // of a sample
	Seed   uint64          `json:"seed"`
	Data   string          `json:"data"`          // digest of the samples with their goals and start images
	Victim string          `json:"victim"`        // its description
	Digest string          `json:"victim digest"` // of its weights
	Keep   tensor.DType    `json:"keep"`
	Platform
}

// A Platform is what determines the queries of a campaign beside its settings. Only a
// process on the same platform can reproduce them.
type Platform struct {
	Kernel  string `json:"kernel"` // the kernel set in use
	Arch    string `json:"arch"`
	Go      string `json:"go"`
	Version string `json:"version"` // of this library's attacks
}

// ThisPlatform returns the platform of this process.
func ThisPlatform() Platform {
	return Platform{Kernel: kernel.Active().Name, Arch: runtime.GOARCH, Go: runtime.Version(), Version: attackVersion}
}

// matches compares with a fingerprint in JSON, and names what differs.
func (p Fingerprint) matches(old []byte) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if bytes.Equal(b, old) {
		return nil
	}
	var was, is map[string]json.RawMessage
	if err := json.Unmarshal(old, &was); err != nil {
		return fmt.Errorf("the fingerprint: %w", err)
	}
	if err := json.Unmarshal(b, &is); err != nil {
		return err
	}
	for k := range is {
		if _, ok := was[k]; !ok {
			was[k] = json.RawMessage("none")
		}
	}
	var differ []string
	for k := range was {
		if !bytes.Equal(is[k], was[k]) {
			differ = append(differ, fmt.Sprintf("%s (%s then, %s now)", k, was[k], is[k]))
		}
	}
	slices.Sort(differ)
	return fmt.Errorf("it belongs to another campaign: %s; use another file, or the same settings", strings.Join(differ, ", "))
}

// Digest identifies the plan: it is a hash of the fingerprint.
func (p *Plan) Digest() string {
	b, err := json.Marshal(p.Fingerprint)
	if err != nil {
		tensor.Panic("attack.Plan.Digest", err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Plan checks the campaign and its samples and cuts it into units.
func (c *Campaign) Plan(samples []Sample) (*Plan, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &Plan{c: c, Norm: c.Job.about.Norm, Victim: c.Job.info.Name}
	given := slices.Clone(samples)
	all := sha256.New()
	for i, s := range given {
		g, err := c.goal(i, s)
		if err != nil {
			return nil, err
		}
		if s.Start == nil && c.Start != nil {
			s.Start = c.Start(g)
			given[i].Start = s.Start
		}
		if err := c.checkSample(i, s); err != nil {
			return nil, err
		}
		u := Unit{Index: i, Name: s.Name, Goal: g, Seed: sampleSeed(c.Seed, s.Name, i)}
		u.Digest = u.digest(s)
		p.Units = append(p.Units, u)
		fmt.Fprintln(all, u.Name, u.Digest)
	}
	p.sample = func(u Unit) (Sample, error) { return given[u.Index], nil }
	p.Fingerprint = c.fingerprint(hex.EncodeToString(all.Sum(nil)[:16]))
	return p, nil
}

// Adopt reads the JSON of a plan that a campaign with the same settings made elsewhere. The
// function sample returns the sample of a unit; it is called when the unit runs. If this
// campaign cannot reproduce the plan, the error names what differs: the attack, the victim,
// the kernel set, the architecture or the version.
func (c *Campaign) Adopt(plan []byte, sample func(u Unit) (Sample, error)) (*Plan, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := new(Plan)
	if err := json.Unmarshal(plan, p); err != nil {
		return nil, fmt.Errorf("attack: the plan: %w", err)
	}
	theirs, err := json.Marshal(p.Fingerprint)
	if err != nil {
		return nil, err
	}
	mine := c.fingerprint(p.Fingerprint.Data)
	if err := mine.matches(theirs); err != nil {
		return nil, fmt.Errorf("attack: the plan cannot be run here: %w", err)
	}
	p.c, p.sample = c, sample
	return p, nil
}

// fingerprint is the campaign's on samples of a digest.
func (c *Campaign) fingerprint(data string) Fingerprint {
	victim := c.Job.info
	victim.Digest = ""
	return Fingerprint{
		Attack: c.Job.about.Name, Options: c.Job.options, Hidden: c.Job.hidden, Goal: c.goalName(), Budget: c.budget(), Seed: c.Seed,
		Data: data, Victim: fmt.Sprintf("%+v", victim), Digest: c.Job.info.Digest, Keep: c.Keep,
		Platform: ThisPlatform(),
	}
}

// digest is that of a unit's sample, goal and start image.
func (u *Unit) digest(s Sample) string {
	h := sha256.New()
	b := append([]byte(u.Goal.String()), 0)
	h.Write(appendFloats(b, s.X.Data()))
	if s.Start != nil {
		h.Write(appendFloats(b[:0], s.Start.Data()))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// sampleSeed follows from the campaign's seed and the sample's name, or its
// index if it has none.
func sampleSeed(seed uint64, name string, index int) uint64 {
	h := fnv.New64a()
	if name == "" {
		name = fmt.Sprint("#", index)
	}
	fmt.Fprintf(h, "%d/%s", seed, name)
	return h.Sum64()
}

// Run attacks the sample of unit i. It goes on where the log ends, and does not send
// queries again whose answers the log holds; log may be nil. Units that run at the same
// time join their calls if Campaign.Gather says so. Run does not enforce Campaign.Total,
// the budget for all samples together: the caller's logs must. Different units may run
// concurrently; the same unit may not.
func (p *Plan) Run(ctx context.Context, i int, log Log) (*UnitResult, error) {
	switch {
	case p.c == nil:
		return nil, errors.New("attack: a plan from JSON is run after Campaign.Adopt")
	case i < 0 || i >= len(p.Units):
		return nil, fmt.Errorf("attack: there is no unit %d of %d", i, len(p.Units))
	}
	return p.run(ctx, i, log, new(till))
}

// joined joins the calls of the units that run at the same time, if the campaign says so.
func (p *Plan) joined() gathers {
	p.once.Do(func() {
		if most := p.c.Gather; most > 1 {
			if b := p.c.Job.info.Batch; b > 0 {
				most = min(most, b)
			}
			p.gathers = p.c.Job.gathers(most)
		}
	})
	return p.gathers
}

func (p *Plan) run(ctx context.Context, i int, log Log, t *till) (*UnitResult, error) {
	u := p.Units[i]
	fail := func(err error) error {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("sample %d %s: %w", u.Index, u.Name, err)
	}
	q := &line{till: t, log: log, name: p.Digest() + "/" + fmt.Sprint(i), gathers: p.joined()}
	res := &UnitResult{Plan: p.Digest()}
	if log != nil {
		entries, err := log.Entries(ctx)
		if err != nil {
			return nil, fail(err)
		}
		for k := range entries {
			res.Sent += int(entries[k].Sent())
			res.Answered += int(entries[k].Answered())
		}
		calls, done, err := readLog(entries)
		if err != nil {
			return nil, fail(fmt.Errorf("attack: the journal: %w", err))
		}
		if done != nil {
			res.Record, res.Seconds = done, done.Seconds
			return res, nil
		}
		q.replay = calls
	}
	s, err := p.sample(u)
	if err == nil {
		if err = p.c.checkSample(i, s); err == nil && u.digest(s) != u.Digest {
			err = errors.New("attack: the sample is not the one that was planned")
		}
	}
	if err != nil {
		return nil, fail(err)
	}
	mine := new(till) // counts this unit's queries on top
	q.unit = mine
	start := time.Now()
	rec, err := p.c.Job.attackOne(ctx, q, s, u.Goal, p.Fingerprint.Budget, u.Seed, p.c.Keep)
	res.Sent += int(mine.intents.Load())
	res.Answered += int(mine.answers.Load())
	if err != nil {
		return res, fail(err)
	}
	rec.Index = u.Index
	rec.Seconds = time.Since(start).Seconds()
	res.Record, res.Seconds = rec, rec.Seconds
	if log != nil {
		if err := log.Append(ctx, Entry{Kind: EntryDone, Done: rec, Seconds: rec.Seconds}); err != nil {
			return res, fail(err)
		}
	}
	return res, nil
}

// Merge combines the results of all units, in any order, into the campaign's result. It is
// an error if a unit is missing, belongs to another plan, or has two different records.
func (p *Plan) Merge(units ...*UnitResult) (*Result, error) {
	res := p.result()
	seen := make([]*UnitResult, len(p.Units))
	for _, u := range units {
		if u == nil || u.Record == nil {
			return nil, errors.New("attack: merging: a unit has no record")
		}
		i := slices.IndexFunc(p.Units, func(q Unit) bool { return q.Index == u.Record.Index })
		switch {
		case u.Plan != p.Digest():
			return nil, fmt.Errorf("attack: merging: sample %d %s was attacked under plan %s; this is plan %s", u.Record.Index, u.Record.Name, u.Plan, p.Digest())
		case i < 0:
			return nil, fmt.Errorf("attack: merging: the plan has no sample %d", u.Record.Index)
		case seen[i] != nil:
			a, err1 := json.Marshal(seen[i].Record)
			b, err2 := json.Marshal(u.Record)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			if !bytes.Equal(a, b) {
				return nil, fmt.Errorf("attack: merging: two different records of sample %d %s", u.Record.Index, u.Record.Name)
			}
			continue
		}
		seen[i] = u
		res.Records[i] = *u.Record
		res.Records[i].Seconds = u.Seconds
		res.Intents += u.Sent
		res.Answers += u.Answered
	}
	if i := slices.Index(seen, nil); i >= 0 {
		return nil, fmt.Errorf("attack: merging: sample %d %s is missing, and perhaps others", p.Units[i].Index, p.Units[i].Name)
	}
	return res, nil
}

// result is the plan's, with nothing found yet.
func (p *Plan) result() *Result {
	f := &p.Fingerprint
	return &Result{Attack: f.Attack, Norm: p.Norm, Options: f.Options, Goal: f.Goal,
		Budget: f.Budget, Seed: f.Seed, Victim: p.Victim, Records: make([]Record, len(p.Units))}
}
