package fleet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// open opens the victim. weights is the content of its file, if it has one, and address
// that by which this machine reaches it, "" for the one in the description.
func (v *VictimSpec) open(ctx context.Context, weights []byte, address string, concurrency int) (zoo.Scorer, error) {
	switch {
	case v.Network == "net4":
		return zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	case v.Network != "":
		return nil, fmt.Errorf("fleet: victim: no network %q comes with the library (there is net4); a file of weights goes into victim.file", v.Network)
	case v.File != "":
		net, info, err := models.Read(bytes.NewReader(weights), int64(len(weights)))
		if err != nil {
			return nil, fmt.Errorf("fleet: victim %s: %w", v.File, err)
		}
		shape := v.Shape
		if shape == nil {
			if shape, err = info.Preprocess.InputShape(info.Spec().Input); err != nil {
				return nil, fmt.Errorf("fleet: victim %s: %w, in victim.shape", v.File, err)
			}
		}
		return zoo.NewModel(net, zoo.Info{Name: info.Model, Shape: shape, Classes: info.Classes}, info.Preprocess)
	}
	o := oip.Options{Model: v.Model, Input: v.Input, Output: v.Output, Classes: v.Classes, Scores: v.Scores, Shape: v.Shape,
		Preprocess: v.Preprocess, Batch: v.Batch, Timeout: time.Duration(v.Timeout), Retries: v.Retries, Concurrency: concurrency, Identity: v.Identity}
	if o.Identity == "" {
		o.Identity = v.URL
	}
	switch v.Encoding {
	case "json":
		o.Encoding = oip.JSON
	case "binary":
		o.Encoding = oip.Binary
	}
	if v.TokenFrom != "" {
		if o.Token = os.Getenv(v.TokenFrom); o.Token == "" {
			return nil, fmt.Errorf("fleet: victim: the environment variable %s, which holds its token, is not set here", v.TokenFrom)
		}
	}
	if address == "" {
		address = v.URL
	}
	return oip.Dial(ctx, address, o)
}

// key names the victim among all, for its rate.
func (v *VictimSpec) key(weights string) string {
	name := v.Identity
	if name == "" {
		name = v.URL + v.Network + weights
	}
	return "rate." + objectName([]byte(name))[:16]
}

// horizon is how long a request may be on its way.
func (v *VictimSpec) horizon() time.Duration {
	if v.Timeout > 0 {
		return time.Duration(v.Timeout)
	}
	return 30 * time.Second
}

// openNetwork opens a network of an attack: a decoder is the half of its auto-encoder.
func openNetwork(name string, b []byte) (nn.Module, error) {
	switch name {
	case "mnist-attacker":
		return pretrained.MetaAttackerMNIST(), nil
	case "mnist-decoder":
		return pretrained.AutoZOOMMNIST().Decoder, nil
	}
	net, _, err := models.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("fleet: network %s: %w", name, err)
	}
	if auto, ok := net.(*models.AutoEncoder); ok {
		return auto.Decoder, nil
	}
	return net, nil
}

func shipped(name string) bool { return name == "mnist-attacker" || name == "mnist-decoder" }

// campaigns makes a campaign of each attack of a file, bound to a victim.
func (f *File) campaigns(v zoo.Scorer, networks map[string]nn.Module) ([]*attack.Campaign, error) {
	var all []*attack.Campaign
	for i, spec := range f.Attacks {
		a, err := spec.Build(attack.NamedNetworks(networks))
		if err != nil {
			return nil, fmt.Errorf("fleet: attacks[%d]: %w", i, err)
		}
		c := &attack.Campaign{Targeted: f.Goal == "targeted", Budget: f.Budget, Seed: f.Seed, Gather: f.Gather, Keep: f.Keep}
		if c.Job, err = attack.Bind(a, v); err == nil {
			err = c.Job.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("fleet: attacks[%d]: %w", i, err)
		}
		if f.Rate > 0 && attack.NeedsOf(a) == attack.Gradients {
			return nil, fmt.Errorf("fleet: attacks[%d]: an attack that needs gradients has the victim here, and no rate: leave rate out", i)
		}
		all = append(all, c)
	}
	return all, nil
}

// networks reads the files of networks.
func (f *File) networks() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, path := range f.Networks {
		if shipped(path) {
			files[name] = nil
			continue
		}
		b, err := os.ReadFile(f.path(path))
		if err != nil {
			return nil, fmt.Errorf("fleet: network %s: %w", name, err)
		}
		files[name] = b
	}
	return files, nil
}

// Local is a campaign of a file in this process: what each attack runs, and on which
// samples. It is what the records of a fleet are compared with.
func (f *File) Local(ctx context.Context) ([]*attack.Campaign, []attack.Sample, error) {
	o, err := f.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	return o.campaigns, o.samples, nil
}

// opened is all that a file names.
type opened struct {
	weights   []byte            // of the victim; nil if it has no file
	networks  map[string][]byte // files; nil for those that the library ships
	campaigns []*attack.Campaign
	samples   []attack.Sample
	info      zoo.Info // of the victim
}

func (f *File) open(ctx context.Context) (o *opened, err error) {
	o = &opened{}
	if o.weights, err = f.weights(); err != nil {
		return nil, err
	}
	v, err := f.Victim.open(ctx, o.weights, "", 0)
	if err != nil {
		return nil, err
	}
	if o.networks, err = f.networks(); err != nil {
		return nil, err
	}
	nets := map[string]nn.Module{}
	for name, b := range o.networks {
		if nets[name], err = openNetwork(f.Networks[name], b); err != nil {
			return nil, err
		}
	}
	if o.campaigns, err = f.campaigns(v, nets); err != nil {
		return nil, err
	}
	o.info = v.Info()
	if o.samples, err = f.load(o.info); err != nil {
		return nil, err
	}
	return o, nil
}

// weights is the content of the victim's file, nil if it has none.
func (f *File) weights() ([]byte, error) {
	if f.Victim.File == "" {
		return nil, nil
	}
	b, err := os.ReadFile(f.path(f.Victim.File))
	if err != nil {
		return nil, fmt.Errorf("fleet: victim: %w", err)
	}
	return b, nil
}
