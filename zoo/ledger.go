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

// The accounts of a ledger. Only the attack's has a budget, and only it is what
// methods are compared by.
const (
	AttackAccount Account = iota
	CleanAccount          // the check that the victim gets the clean sample right
	VerifyAccount         // the separate pass over a claimed success
	numAccounts
)

var accountNames = [numAccounts]string{"attack", "clean", "verify"}

// String names the account.
func (a Account) String() string { return accountNames[a] }

// ErrBudget is in the chain of the error that a metered victim returns when the
// budget is spent.
var ErrBudget = errors.New("query budget exhausted")

// A BudgetError says that the budget ended within a call: the first Answered
// samples were evaluated and their answers written, the rest were not sent.
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

// A Ledger counts the queries spent on one sample. One image (or one clip)
// through the victim is one query, whatever is read from the answer; a batch of
// k costs k. Queries are charged before they are sent, so one that failed on
// the way is still counted. The zero Ledger has an empty attack budget.
//
// An attack never sees the ledger: it is handed a metered victim, and cannot
// forget to count.
type Ledger struct {
	Budget int // of the attack account
	used   [numAccounts]atomic.Int64
}

// Used is the number of queries charged to an account so far.
func (l *Ledger) Used(a Account) int { return int(l.used[a].Load()) }

// Left is what remains of the attack's budget.
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

// granted is what both kinds of meter do before a call: charge, cut the batch
// to what was granted, and remember the shortfall.
func (l *Ledger) granted(a Account, x *tensor.Tensor, n int) (*tensor.Tensor, int, error) {
	got := l.charge(a, n)
	if got == n {
		return x, n, nil
	}
	short := &BudgetError{Budget: l.Budget, Answered: got, Asked: n}
	if got == 0 {
		return nil, 0, short
	}
	return x.Slice(0, got), got, short
}

// MeterScores returns v with every query charged to an account of l. A call
// that would overrun the attack's budget is cut: the samples that fit are
// evaluated, in order, and the error is a *BudgetError.
func MeterScores(l *Ledger, a Account, v Scorer) Scorer { return &scoreMeter{l, a, v, v.Info()} }

type scoreMeter struct {
	l    *Ledger
	a    Account
	v    Scorer
	info Info
}

func (m *scoreMeter) Info() Info { return m.info }

func (m *scoreMeter) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := checkBatch(m.info, x, len(out), m.info.Classes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	x, n, short := m.l.granted(m.a, x, x.Dim(0))
	if n == 0 {
		return short
	}
	if err := m.v.Scores(ctx, x, out[:n*m.info.Classes]); err != nil {
		return err
	}
	return short
}

// MeterLabels is MeterScores for a Labeler.
func MeterLabels(l *Ledger, a Account, v Labeler) Labeler { return &labelMeter{l, a, v, v.Info()} }

type labelMeter struct {
	l    *Ledger
	a    Account
	v    Labeler
	info Info
}

func (m *labelMeter) Info() Info { return m.info }

func (m *labelMeter) Labels(ctx context.Context, x *tensor.Tensor, out []int) error {
	if err := checkBatch(m.info, x, len(out), 1); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	x, n, short := m.l.granted(m.a, x, x.Dim(0))
	if n == 0 {
		return short
	}
	if err := m.v.Labels(ctx, x, out[:n]); err != nil {
		return err
	}
	return short
}

// MeterGradients is MeterScores for a white box. A gradient costs one query, as
// its forward pass does.
func MeterGradients(l *Ledger, a Account, v Differentiable) Differentiable {
	return &gradientMeter{scoreMeter{l, a, v, v.Info()}, v}
}

type gradientMeter struct {
	scoreMeter
	v Differentiable
}

func (m *gradientMeter) Gradients(ctx context.Context, x *tensor.Tensor, loss Loss, goals []Goal, out []float64, grad *tensor.Tensor) error {
	if err := checkBatch(m.info, x, len(out), m.info.Classes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	x, n, short := m.l.granted(m.a, x, x.Dim(0))
	if n == 0 {
		return short
	}
	if err := m.v.Gradients(ctx, x, loss, goals[:n], out[:n*m.info.Classes], grad.Slice(0, n)); err != nil {
		return err
	}
	return short
}
