package zoo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
)

// An Account is one of the purposes for which queries are spent.
type Account uint8

// The accounts of a ledger. Only AttackAccount has a budget; methods are compared by it.
const (
	AttackAccount Account = iota
	CleanAccount          // the check that the victim gets the clean sample right
	VerifyAccount         // the separate pass over a claimed success
	numAccounts
)

var accountNames = [numAccounts]string{"attack", "clean", "verify"}

// String names the account.
func (a Account) String() string { return accountNames[a] }

// ErrBudget is wrapped by the error that a metered victim returns when the budget is spent.
var ErrBudget = errors.New("query budget exhausted")

// A BudgetError says that the budget ended within a call of Asked samples: the first
// Answered samples were evaluated and their answers written; the rest were not sent.
type BudgetError struct{ Budget, Answered, Asked int }

func (e *BudgetError) Error() string {
	return fmt.Sprintf("zoo: %v: budget %d; %d of the %d samples of the last call were answered",
		ErrBudget, e.Budget, e.Answered, e.Asked)
}

// Unwrap makes errors.Is(err, ErrBudget) hold.
func (e *BudgetError) Unwrap() error { return ErrBudget }

// answered is how many of n answers are valid given what the call returned.
func answered(err error, n int) int {
	var b *BudgetError
	switch {
	case err == nil:
		return n
	case errors.As(err, &b):
		return b.Answered
	}
	return 0
}

// A Ledger counts the queries spent on one sample. One image (or one clip) through the
// victim is one query, whatever is read from the answer; a batch of k costs k. Queries are
// charged before they are sent, so a failed query counts. The zero Ledger has an attack
// budget of 0.
//
// An attack gets a metered victim and never sees the ledger, so it cannot forget to count.
type Ledger struct {
	Budget int // of the attack account
	used   [numAccounts]atomic.Int64
}

// Used returns the number of queries charged to an account so far.
func (l *Ledger) Used(a Account) int { return int(l.used[a].Load()) }

// Left returns the rest of the attack's budget.
func (l *Ledger) Left() int { return max(l.Budget-l.Used(AttackAccount), 0) }

// charge books up to n queries and returns how many were granted.
func (l *Ledger) charge(a Account, n int) int {
	for {
		used := l.used[a].Load()
		if a == AttackAccount {
			n = min(n, max(l.Budget-int(used), 0))
		}
		if l.used[a].CompareAndSwap(used, used+int64(n)) {
			return n
		}
	}
}

// MeterScores returns v, checked as [Checked] does, with every query charged to an account
// of l. Of a call that would exceed the attack's budget only the first samples that fit are
// sent, and the error is a *BudgetError. The result is an [Evaluator].
func MeterScores(l *Ledger, a Account, v Scorer) Scorer {
	if _, ok := v.(Evaluator); !ok { // who evaluates also checks
		v = Checked(v)
	}
	return &scoreMeter{meter{l, a, v.Info()}, v}
}

// A meter charges one kind of call to an account.
type meter struct {
	l    *Ledger
	a    Account
	info Info
}

func (m *meter) Info() Info { return m.info }

// admit checks a call, which has room for answers of perSample values a sample, and
// charges it. It returns how many samples may be sent, and the error to return if these
// are answered.
func (m *meter) admit(ctx context.Context, x *tensor.Tensor, room, perSample int) (part *tensor.Tensor, n int, short error, err error) {
	if err := checkBatch(m.info, x, room, perSample); err != nil {
		return nil, 0, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, nil, err
	}
	n = m.l.charge(m.a, x.Dim(0))
	if n == x.Dim(0) {
		return x, n, nil, nil
	}
	short = &BudgetError{Budget: m.l.Budget, Answered: n, Asked: x.Dim(0)}
	if n == 0 {
		return nil, 0, nil, short
	}
	return x.Slice(0, n), n, short, nil
}

type scoreMeter struct {
	meter
	v Scorer
}

func (m *scoreMeter) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	x, n, short, err := m.admit(ctx, x, len(out), m.info.Classes)
	if err != nil {
		return err
	}
	if err := m.v.Scores(ctx, x, out[:n*m.info.Classes]); err != nil {
		return err
	}
	return short
}

// Evaluate implements Evaluator.
func (m *scoreMeter) Evaluate(ctx context.Context, x *tensor.Tensor, loss Loss, g Goal, out []Evaluation) error {
	x, n, short, err := m.admit(ctx, x, len(out), 1)
	if err != nil {
		return err
	}
	if err := Evaluate(ctx, m.v, x, loss, g, out[:n]); err != nil {
		return err
	}
	return short
}

// MeterLabels is MeterScores for a Labeler.
func MeterLabels(l *Ledger, a Account, v Labeler) Labeler {
	return &labelMeter{meter{l, a, v.Info()}, CheckedLabels(v)}
}

type labelMeter struct {
	meter
	v Labeler
}

func (m *labelMeter) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	x, n, short, err := m.admit(ctx, x, len(out), 1)
	if err != nil {
		return err
	}
	if err := m.v.Labels(ctx, x, out[:n]); err != nil {
		return err
	}
	return short
}

// MeterGradients is MeterScores for a white box. A gradient costs one query, as
// its forward pass does.
func MeterGradients(l *Ledger, a Account, v Differentiable) Differentiable {
	v = CheckedGradients(v)
	return &gradientMeter{scoreMeter{meter{l, a, v.Info()}, v}, v}
}

type gradientMeter struct {
	scoreMeter
	v Differentiable
}

func (m *gradientMeter) Gradients(ctx context.Context, x *tensor.Tensor, loss DifferentiableLoss, goals []Goal, out []float64, grad *tensor.Tensor) error {
	x, n, short, err := m.admit(ctx, x, len(out), m.info.Classes)
	if err != nil {
		return err
	}
	if err := m.v.Gradients(ctx, x, loss, goals[:n], out[:n*m.info.Classes], grad.Slice(0, n)); err != nil {
		return err
	}
	return short
}
