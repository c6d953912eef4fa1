package zoo

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

func TestLedger(t *testing.T) {
	calls := 0
	v := dotVictim(make([]float64, 3), &calls)
	l := &Ledger{Budget: 10}
	m := MeterScores(l, AttackAccount, v)
	out := make([]float64, 8)
	x := tensor.New(4, 1, 1, 3)
	for range 2 {
		if err := m.Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
	}
	err := m.Scores(context.Background(), x, out)
	var b *BudgetError
	if !errors.Is(err, ErrBudget) || !errors.As(err, &b) || b.Answered != 2 || b.Asked != 4 {
		t.Errorf("third call: %v", err)
	}
	if err := m.Scores(context.Background(), x, out); !errors.Is(err, ErrBudget) {
		t.Errorf("fourth call: %v", err)
	}
	if calls != 10 || l.Used(AttackAccount) != 10 || l.Left() != 0 {
		t.Errorf("victim saw %d, ledger has %d, %d left; want 10, 10, 0", calls, l.Used(AttackAccount), l.Left())
	}
	// The other accounts have no budget, not even the attack's, and leave that alone.
	for range 3 {
		if err := MeterScores(l, VerifyAccount, v).Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
	}
	labels := make([]int, 4)
	if err := MeterLabels(l, CleanAccount, LabelsOf(v)).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	if l.Used(VerifyAccount) != 12 || l.Used(CleanAccount) != 4 || l.Used(AttackAccount) != 10 || calls != 26 {
		t.Errorf("accounts %d %d %d, victim saw %d", l.Used(AttackAccount), l.Used(CleanAccount), l.Used(VerifyAccount), calls)
	}
}

// TestMeteredVictimHidesItsGradients: what an attack on scores is handed is the
// scores and nothing else, even of a white box; and an attack on labels gets no
// scores.
func TestMeteredVictimHidesItsGradients(t *testing.T) {
	m, err := NewModel(models.LeNet5(1, 10), Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	l := &Ledger{Budget: 1}
	scores := any(MeterScores(l, AttackAccount, m))
	labels := any(MeterLabels(l, AttackAccount, LabelsOf(m)))
	if _, ok := scores.(Differentiable); ok {
		t.Error("the gradients are in reach of an attack on scores")
	}
	if _, ok := scores.(interface{ Net() nn.Module }); ok {
		t.Error("the weights are in reach of an attack on scores")
	}
	if _, ok := labels.(Scorer); ok {
		t.Error("the scores are in reach of an attack on labels")
	}
}

func TestLedgerChargesFailedCalls(t *testing.T) {
	boom := errors.New("boom")
	v := ScorerFunc(Info{Name: "v", Shape: []int{1, 1, 1}, Classes: 2}, func(context.Context, *tensor.Tensor, []float64) error { return boom })
	l := &Ledger{Budget: 5}
	if err := MeterScores(l, AttackAccount, v).Scores(context.Background(), tensor.New(3, 1, 1, 1), make([]float64, 6)); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if l.Used(AttackAccount) != 3 {
		t.Errorf("charged %d, want 3", l.Used(AttackAccount))
	}
}

func TestLedgerUnderRaces(t *testing.T) {
	l := &Ledger{Budget: 1000}
	var wg sync.WaitGroup
	granted := make([]int, 8)
	for g := range granted {
		wg.Go(func() {
			for i := range 100 {
				granted[g] += l.charge(AttackAccount, i%7)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range granted {
		sum += n
	}
	if sum != 1000 || l.Used(AttackAccount) != 1000 {
		t.Errorf("granted %d, used %d, budget 1000", sum, l.Used(AttackAccount))
	}
}
