package zoo

import "fmt"

// A Goal says what an attack on one sample wants.
type Goal struct {
	Label    int  `json:"label"`              // the true class, y
	Targeted bool `json:"targeted,omitempty"` // whether the victim must answer Target, or merely anything but Label
	Target   int  `json:"target,omitempty"`   // the wanted class, t, when Targeted
}

// Untargeted wants any class but y.
func Untargeted(y int) Goal { return Goal{Label: y} }

// Targeted wants class t of an image whose true class is y.
func Targeted(y, t int) Goal { return Goal{Label: y, Targeted: true, Target: t} }

// NextClass is the thesis's target for class y among k: (y+1) mod k.
func NextClass(y, k int) int { return (y + 1) % k }

// Achieved reports whether the victim's answer is what the goal wants.
func (g Goal) Achieved(label int) bool {
	if g.Targeted {
		return label == g.Target
	}
	return label != g.Label
}

// Check reports whether the goal makes sense for a victim with k classes.
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
