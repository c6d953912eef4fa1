package attack

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/mettleml/mettle/zoo"
)

// Zero sets an option to exactly 0 where 0 means the default: Square{Eps: attack.Zero}
// leaves the sample unchanged. It is the least positive float64, and 0 in float32.
const Zero = math.SmallestNonzeroFloat64

// A Checker is an attack that checks its options. A campaign calls Check before the first
// query.
type Checker interface {
	// Check reports what makes the options unusable on samples of the given shape.
	Check(shape []int) error
}

// sane reports an option that is negative or not a number: none of the attacks of this
// package has a use for one.
func sane(a Attack) error {
	v := reflect.ValueOf(a)
	for i := range v.NumField() {
		f := v.Field(i)
		bad := f.CanInt() && f.Int() < 0
		if f.CanFloat() {
			x := f.Float()
			bad = !(x >= 0) || math.IsInf(x, 0)
		}
		if bad {
			return fmt.Errorf("attack: %T.%s is %v; it must not be negative, and 0 means the default", a, v.Type().Field(i).Name, f)
		}
	}
	return nil
}

// inBall reports a radius that is none in [0,1]^d.
func inBall(a Attack, n Norm, eps float64, shape []int) error {
	if int(n) >= len(normNames) {
		return fmt.Errorf("attack: %T: there is no %v", a, n)
	}
	if most := float64(size(shape)); n == L1 && eps > most {
		return fmt.Errorf("attack: %T.Eps is %g in L1; no two samples of shape %v with pixels in [0,1] are farther apart than %.4g", a, eps, shape, most)
	}
	if n == Linf && eps > 1 {
		return fmt.Errorf("attack: %T.Eps is %g in Linf; pixels lie in [0,1], so that %[2]g of 255 is %.4g", a, eps, eps/255)
	}
	if most := math.Sqrt(float64(size(shape))); n == L2 && eps > most {
		return fmt.Errorf("attack: %T.Eps is %g in L2; no two samples of shape %v with pixels in [0,1] are farther apart than %.4g", a, eps, shape, most)
	}
	return nil
}

// images reports samples that have no height and width.
func images(a Attack, shape []int) error {
	if len(shape) < 2 {
		return fmt.Errorf("attack: %T needs images, not samples of shape %v", a, shape)
	}
	return nil
}

// ball checks an attack that stays in one.
func ball(a Attack, n Norm, eps float64, shape []int) error {
	return errors.Join(sane(a), inBall(a, n, eps, shape))
}

// notL1 reports a norm that the attack is not defined for.
func notL1(a Attack, n Norm) error {
	if n == L1 {
		return fmt.Errorf("attack: %T is for L2 and Linf; in L1 there are APGD, FAB, Square and AutoAttack", a)
	}
	return nil
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Check implements Checker.
func (a Meta) Check(shape []int) error {
	var err error
	switch {
	case a.Network == nil:
		err = errors.New("attack: Meta has no Network; it is the meta attacker, such as pretrained.MetaAttackerMNIST()")
	case a.Adam && a.Proportional:
		err = errors.New("attack: Meta with both Adam and Proportional; a step follows one of them")
	case a.Central && (a.Groups > 0 || a.Nearest):
		err = errors.New("attack: Meta with Central and Groups or Nearest, which take forward differences")
	case a.Approach > 0 && !vanishing(a.Loss):
		err = fmt.Errorf("attack: Meta with Approach and loss %s, which is not 0 where the goal is achieved; take Hinge", a.Loss.Name())
	case a.Turn > 1:
		err = fmt.Errorf("attack: Meta.Turn is %g; it is a share, at most 1", a.Turn)
	}
	return errors.Join(sane(a), images(a, shape), err)
}

// vanishing reports whether a loss, nil for Hinge, is 0 where the goal is achieved, as far
// as its type says.
func vanishing(l zoo.Loss) bool {
	switch l.(type) {
	case zoo.Margin, *zoo.Margin, zoo.CrossEntropy, *zoo.CrossEntropy:
		return false
	}
	return true
}

// Check implements Checker.
func (a ZOO) Check(shape []int) error {
	var err error
	if len(a.Switch) != max(len(a.Sizes)-1, 0) {
		err = fmt.Errorf("attack: ZOO has %d Sizes and %d iterations in Switch; one less is needed, for every size but the first", len(a.Sizes), len(a.Switch))
	} else {
		for i, s := range a.Sizes {
			if s < 1 {
				err = fmt.Errorf("attack: ZOO.Sizes is %v; sizes are at least 1", a.Sizes)
			} else if i > 1 && a.Switch[i-1] <= a.Switch[i-2] {
				err = fmt.Errorf("attack: ZOO.Switch is %v; iterations increase", a.Switch)
			}
		}
	}
	return errors.Join(sane(a), images(a, shape), err)
}

// Check implements Checker.
func (a AutoZOOM) Check(shape []int) error {
	err := errors.Join(sane(a), images(a, shape))
	if b, ok := a.Decoder.(Bilinear); ok && b.Side < 1 {
		err = errors.Join(err, fmt.Errorf("attack: Bilinear.Side is %d; a code has at least one value a side", b.Side))
	}
	if l, ok := a.Decoder.(*Learned); ok && l.Network == nil {
		err = errors.Join(err, errors.New("attack: Learned has no Network"))
	}
	return err
}

// Check implements Checker.
func (a Bandits) Check(shape []int) error {
	return errors.Join(notL1(a, a.Norm), ball(a, a.Norm, a.defaults().Eps, shape), images(a, shape))
}

// Check implements Checker.
func (a NES) Check(shape []int) error {
	err := errors.Join(notL1(a, a.Norm), ball(a, a.Norm, a.defaults().Eps, shape))
	if a.Queries%2 != 0 {
		err = errors.Join(err, fmt.Errorf("attack: NES.Queries is %d; it is even", a.Queries))
	}
	return err
}

// Check implements Checker.
func (a Square) Check(shape []int) error {
	err := errors.Join(ball(a, a.Norm, a.defaults().Eps, shape), images(a, shape))
	if a.P > 1 {
		err = errors.Join(err, fmt.Errorf("attack: Square.P is %g; it is a share of the pixels", a.P))
	}
	return err
}

// Check implements Checker.
func (a SimBA) Check(shape []int) error {
	if a.DCT {
		return errors.Join(sane(a), images(a, shape))
	}
	return sane(a)
}

// Check implements Checker.
func (a SignHunter) Check(shape []int) error {
	return errors.Join(notL1(a, a.Norm), ball(a, a.Norm, a.defaults().Eps, shape))
}

// Check implements Checker.
func (a Boundary) Check([]int) error { return sane(a) }

// Check implements Checker.
func (a Opt) Check([]int) error { return sane(a) }

// Check implements Checker.
func (a SignOpt) Check([]int) error { return sane(a) }

// Check implements Checker.
func (a HopSkipJump) Check([]int) error { return errors.Join(notL1(a, a.Norm), sane(a)) }

// Check implements Checker.
func (a RayS) Check([]int) error { return sane(a) }

// Check implements Checker.
func (a FGSM) Check(shape []int) error {
	return errors.Join(notL1(a, a.Norm), ball(a, a.Norm, a.defaults().Eps, shape))
}

// Check implements Checker.
func (a PGD) Check(shape []int) error {
	return errors.Join(notL1(a, a.Norm), ball(a, a.Norm, a.defaults().Eps, shape))
}

// Check implements Checker.
func (a CarliniWagner) Check([]int) error { return sane(a) }
