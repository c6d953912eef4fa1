package zoo

import "fmt"

// A Goal says which answer an attack on one sample seeks.
type Goal struct {
	Label    int  `json:"label"`              // the true class, y
	Targeted bool `json:"targeted,omitempty"` // whether the victim must answer Target; else any class but Label will do
	Target   int  `json:"target,omitempty"`   // the wanted class, t, when Targeted
}

// Untargeted returns the goal of any class but y.
func Untargeted(y int) Goal { return Goal{Label: y} }

// Targeted returns the goal of class t for an image whose true class is y.
func Targeted(y, t int) Goal { return Goal{Label: y, Targeted: true, Target: t} }

// NextClass is the thesis's target for class y among k: (y+1) mod k.
func NextClass(y, k int) int { return (y + 1) % k }

// Achieved reports whether the victim's answer achieves the goal.
func (g Goal) Achieved(label int) bool {
	if g.Targeted {
		return label == g.Target
	}
	return label != g.Label
}

// Check returns an error if a class of the goal does not exist among k classes, or if the
// target is the true class.
func (g Goal) Check(k int) error {
	if g.Label < 0 || g.Label >= k {
		return fmt.Errorf("zoo: label %d is outside the victim's %d classes", g.Label, k)
	}
	if g.Targeted && (g.Target < 0 || g.Target >= k) {
		return fmt.Errorf("zoo: target %d is outside the victim's %d classes", g.Target, k)
	}
	if g.Targeted && g.Target == g.Label {
		return fmt.Errorf("zoo: target %d is the true class", g.Target)
	}
	return nil
}

// String names the goal: "3 -> 4" or "3 -> any other".
func (g Goal) String() string {
	if g.Targeted {
		return fmt.Sprintf("%d -> %d", g.Label, g.Target)
	}
	return fmt.Sprintf("%d -> any other", g.Label)
}
