package longtail

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// A ShotRule divides classes by their number of training samples into many-shot,
// medium-shot and few-shot ones. Papers use different rules, and one class on the edge
// moves a group's accuracy by a point: state the rule beside the numbers.
type ShotRule struct {
	Name string `json:"name"`

	// Many-shot classes have at least ManyFrom samples, few-shot classes at most FewTo.
	ManyFrom int `json:"many_from,omitempty"`
	FewTo    int `json:"few_to,omitempty"`

	// Ranks, if not zero, divides by rank in place of counts: the first Ranks[0] classes
	// by their number of samples are many-shot, and the next Ranks[1] medium-shot.
	Ranks [2]int `json:"ranks,omitzero"`
}

// The published rules. The groups of MiSLAS differ between data sets; its program has them
// as numbers of classes.
var (
	// Shots has more than 100 samples for many-shot, fewer than 20 for few-shot: Kang et
	// al. ("Decoupling representation and classifier", 2020) and most others since.
	Shots = ShotRule{Name: "many > 100, few < 20", ManyFrom: 101, FewTo: 19}

	// ShotsOLTR has both edges inside: the program of Liu et al. (OLTR, 2019).
	ShotsOLTR = ShotRule{Name: "many >= 100, few <= 20", ManyFrom: 100, FewTo: 20}

	// ShotsPlaces has more than 100 and at most 20: MiSLAS (Zhong et al., 2021) for
	// Places-LT, 131, 157 and 77 classes.
	ShotsPlaces = ShotRule{Name: "many > 100, few <= 20", ManyFrom: 101, FewTo: 20}

	// ShotsMiSLASCIFAR is MiSLAS for CIFAR100-LT of imbalance 100: 36, 35 and 29 classes.
	ShotsMiSLASCIFAR = ShotRule{Name: "MiSLAS CIFAR100-LT 100: 36, 35, 29", Ranks: [2]int{36, 35}}

	// ShotsMiSLASImageNet is MiSLAS for ImageNet-LT: 390, 445 and 165 classes.
	ShotsMiSLASImageNet = ShotRule{Name: "MiSLAS ImageNet-LT: 390, 445, 165", Ranks: [2]int{390, 445}}

	// ShotsMiSLASiNaturalist is MiSLAS for iNaturalist 2018: 842, 3701 and 3599 classes.
	ShotsMiSLASiNaturalist = ShotRule{Name: "MiSLAS iNaturalist 2018: 842, 3701, 3599", Ranks: [2]int{842, 3701}}
)

// Groups are classes by the number of their training samples, each in ascending order. A
// group may be empty.
type Groups struct {
	Rule   ShotRule `json:"rule"`
	Many   []int    `json:"many"`
	Medium []int    `json:"medium"`
	Few    []int    `json:"few"`
}

// Groups divides the classes with the given counts of training samples. Counts need not be
// sorted. It panics if the rule does not fit the number of classes.
func (r ShotRule) Groups(counts []int) Groups {
	const op = "longtail.ShotRule.Groups"
	g := Groups{Rule: r}
	if r.Ranks != [2]int{} {
		many, medium := r.Ranks[0], r.Ranks[0]+r.Ranks[1]
		if min(r.Ranks[0], r.Ranks[1]) < 0 || medium > len(counts) {
			tensor.Panic(op, fmt.Sprintf("%v for %d classes", r.Ranks, len(counts)))
		}
		order := byCount(counts)
		g.Many, g.Medium, g.Few = order[:many:many], order[many:medium:medium], order[medium:]
		for _, list := range [][]int{g.Many, g.Medium, g.Few} {
			slices.Sort(list)
		}
		return g
	}
	if r.FewTo >= r.ManyFrom {
		tensor.Panic(op, fmt.Sprintf("many from %d, few to %d samples: the groups overlap", r.ManyFrom, r.FewTo))
	}
	for c, n := range counts {
		switch {
		case n >= r.ManyFrom:
			g.Many = append(g.Many, c)
		case n <= r.FewTo:
			g.Few = append(g.Few, c)
		default:
			g.Medium = append(g.Medium, c)
		}
	}
	return g
}

// byCount returns the classes by their number of samples, the largest first, of equal
// ones the lower class.
func byCount(counts []int) []int {
	order := make([]int, len(counts))
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	return order
}

// A Report holds the usual measurements of a network. Accuracies are shares in [0,1].
type Report struct {
	Acc      float64 `json:"acc"`      // share of correctly classified samples
	Balanced float64 `json:"balanced"` // mean over classes; equals Acc on a balanced test set

	// Means over the classes of a group; nil if no class of the group has samples.
	Many   *float64 `json:"many"`
	Medium *float64 `json:"medium"`
	Few    *float64 `json:"few"`
	Rule   string   `json:"rule"` // name of the rule of the groups

	PerClass []float64 `json:"per_class"` // 0 for a class without samples

	// Calibration, with 15 bins; see [eval.Calibration].
	ECE   float64    `json:"ece"`
	MCE   float64    `json:"mce"`
	NLL   float64    `json:"nll"`
	Brier float64    `json:"brier"`
	Bins  []eval.Bin `json:"bins"` // of a reliability diagram
}

// Measure returns the report of outputs. It panics if there are no outputs, or if a group
// names a class that they do not have.
func Measure(o *eval.Outputs, g Groups) Report {
	c := o.Calibration(0)
	r := Report{
		Acc: o.Accuracy(), Balanced: o.BalancedAccuracy(), Rule: g.Rule.Name,
		ECE: c.ECE, MCE: c.MCE, NLL: c.NLL, Brier: c.Brier, Bins: c.Bins,
	}
	all := o.PerClass()
	for _, c := range all {
		r.PerClass = append(r.PerClass, c.Share())
	}
	group := func(classes []int) *float64 {
		sum, n := 0.0, 0
		for _, c := range classes {
			if c >= len(all) {
				tensor.Panic("longtail.Measure", fmt.Sprintf("class %d of a group, where the network has %d", c, len(all)))
			}
			if all[c].Count > 0 {
				sum += all[c].Share()
				n++
			}
		}
		if n == 0 {
			return nil
		}
		sum /= float64(n)
		return &sum
	}
	r.Many, r.Medium, r.Few = group(g.Many), group(g.Medium), group(g.Few)
	return r
}
