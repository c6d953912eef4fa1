// Package attackpage makes the page on what attacks found, for the programs that run them:
// examples/probe in one process, and fleet on many machines.
package attackpage

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/zoo"
)

// Findings are what attacks found, and what there is to say of it.
type Findings struct {
	Victim  zoo.Info
	Samples []attack.Sample // a record's Index is the place of its sample here
	// Results are of attacks of different names. Their records are of samples that the
	// attack came to; see [Finished].
	Results []*attack.Result
	Labels  map[string]bool    // by name, attacks that are told the victim's class only
	Robust  *attack.Robustness // what autoattack left standing; nil without it

	Goal     string // untargeted or targeted
	Budget   int    // queries of an attack on an image
	Seed     uint64
	Platform attack.Platform // that ran the attacks

	Within float64  // L2 distance within which curves count a success; 0: one that 95 % of the successes lie within
	Images string   // where the images are from, and how they were chosen
	Spent  string   // what all queries were for; see [Spent]
	Notes  []string // warnings, and what was left out or not finished
}

// Finished leaves of a result's records those of samples that the attack came to.
func Finished(r *attack.Result) {
	r.Records = slices.DeleteFunc(r.Records, func(r attack.Record) bool { return r.Stop == "" })
}

// attacked are the records of samples that the victim got right when clean.
func attacked(r *attack.Result) []attack.Record {
	return slices.DeleteFunc(slices.Clone(r.Records), func(r attack.Record) bool { return r.Skipped() })
}

// attacked is how many samples were attacked, by the attack that came to most.
func (f *Findings) attacked() (n int) {
	for _, r := range f.Results {
		n = max(n, len(attacked(r)))
	}
	return n
}

// Spent says what queries were for: those of the results' records, and more for another
// purpose, of which the caller tells. All in all sent were sent by the attacks and got of
// them answered, those on samples that were not finished among them.
func Spent(results []*attack.Result, sent, got, more int) string {
	var attacks, clean, verify int
	for _, res := range results {
		for _, r := range res.Records {
			attacks += r.Queries
			clean += r.Clean
			verify += r.Verify
		}
	}
	text := fmt.Sprintf("%d in all: %d by the attacks, %d to check clean images before them, %d to verify", sent+more, attacks, clean, verify)
	if rest := got - attacks - clean - verify; rest > 0 {
		text += fmt.Sprintf(", %d on images that were not finished", rest)
	}
	if lost := sent - got; lost > 0 {
		text += fmt.Sprintf(", %d that were not answered, which the victim may have charged all the same", lost)
	}
	return text
}

// Unsure says for how many queries no answer came although the victim may have charged
// them, "" if there is no reason to.
func Unsure(res *attack.Result) string {
	text := ""
	if res.Resumed > 0 {
		text = fmt.Sprintf("resumed %d times", res.Resumed)
	}
	if lost := res.Intents - res.Answers; lost > 0 {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("of %d queries sent %d were not answered, and may have been charged all the same", res.Intents, lost)
	}
	return text
}
