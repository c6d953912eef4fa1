package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// A Money document keeps a campaign's budget: what was settled by units that are done and
// what is reserved by the others never exceeds the limit. A unit reserves before it
// announces a query. Reservations belong to units, not to workers, so that a successor
// inherits them; they go back when the unit is done, and when it has to wait for money.
//
// Every change can be applied twice without harm.
type Money struct {
	Limit    int64             `json:"limit"` // 0: none
	Units    int               `json:"units"` // of the campaign
	Settled  int64             `json:"settled"`
	Reserved map[string]Budget `json:"reserved,omitempty"` // by unit
	Waiting  map[string]int64  `json:"waiting,omitempty"`  // units that found no money, and what their next call needs
	Done     bits              `json:"done"`               // units that are settled

	Answers int64 `json:"answers"` // of what was settled
	Success int   `json:"success"` // units
	Skipped int   `json:"skipped"`

	Failures map[string]Failure `json:"failures,omitempty"` // units that failed the last time they were run
	Stopped  string             `json:"stopped,omitempty"`  // why nothing is to be asked any more
}

// A Budget is what one unit has reserved of the limit.
type Budget struct {
	N     int64  `json:"n"`     // queries, those that it has spent included
	Epoch uint64 `json:"epoch"` // position in its log of the takeover record of the worker that reserved last
}

// A Failure says how often a unit failed, and why the last time.
type Failure struct {
	Times int    `json:"times"`
	Why   string `json:"why"`
}

// bits is a set of small numbers.
type bits []byte

func (b bits) has(i int) bool { return i/8 < len(b) && b[i/8]>>(i%8)&1 == 1 }

func (b bits) with(i int) bits {
	for i/8 >= len(b) {
		b = append(b, 0)
	}
	b[i/8] |= 1 << (i % 8)
	return b
}

func (b bits) count() (n int) {
	for _, v := range b {
		for ; v != 0; v &= v - 1 {
			n++
		}
	}
	return n
}

// committed is what is settled or reserved.
func (m *Money) committed() int64 {
	sum := m.Settled
	for _, b := range m.Reserved {
		sum += b.N
	}
	return sum
}

// Exhausted reports whether nothing can go on: every unit that is not done waits for
// money, or there is none left and all that might give some back wait.
func (m *Money) Exhausted() bool {
	if m.Limit == 0 || len(m.Waiting) == 0 {
		return false
	}
	left := m.Limit - m.committed()
	for unit := range m.Reserved {
		if _, ok := m.Waiting[unit]; !ok {
			return false
		}
	}
	if left <= 0 {
		return true
	}
	need := slices.Min(slices.Collect(maps.Values(m.Waiting)))
	return need > left && m.Done.count()+len(m.Waiting) >= m.Units
}

// chunk is how many queries a unit reserves ahead, at most.
const chunk = 256

// reserve makes sure that unit, which has spent so much, may announce n more queries. It
// returns what is reserved for it, 0 if it has to wait, and whether the document changed.
func (m *Money) reserve(u unitID, epoch uint64, spent, n int64) (granted int64, changed bool, err error) {
	if m.Done.has(u.ordinal) {
		return 0, false, fmt.Errorf("unit %s is done: %w", u.key, ErrFenced)
	}
	old := m.Reserved[u.key]
	if old.Epoch > epoch {
		return 0, false, fmt.Errorf("unit %s: %w", u.key, ErrFenced)
	}
	need := spent + n
	free := int64(1) << 60 // for this unit, with what it holds
	if m.Limit > 0 {
		free = m.Limit - m.committed() + old.N
	}
	if free < need {
		b := Budget{spent, epoch}
		if m.Waiting[u.key] == n && old == b {
			return 0, false, nil
		}
		m.setReserved(u.key, b)
		if m.Waiting == nil {
			m.Waiting = map[string]int64{}
		}
		m.Waiting[u.key] = n
		return 0, true, nil
	}
	if old.Epoch == epoch && old.N >= need {
		return old.N, false, nil
	}
	// A share of what is left, so that the last money is not held by a few.
	ahead := min(chunk, (free-need)/int64(2*(len(m.Reserved)+1)))
	b := Budget{max(old.N, need+ahead), epoch}
	if m.Limit > 0 {
		b.N = min(b.N, free)
	}
	m.setReserved(u.key, b)
	delete(m.Waiting, u.key)
	return b.N, true, nil
}

func (m *Money) setReserved(unit string, b Budget) {
	if m.Reserved == nil {
		m.Reserved = map[string]Budget{}
	}
	m.Reserved[unit] = b
}

// settle closes a unit that has sent so many queries. It reports whether it was open.
func (m *Money) settle(u unitID, d *doneUnit) bool {
	if m.Done.has(u.ordinal) {
		return false
	}
	delete(m.Reserved, u.key)
	delete(m.Waiting, u.key)
	delete(m.Failures, u.key)
	m.Settled += int64(d.sent)
	m.Answers += int64(d.answered)
	if d.record.Success {
		m.Success++
	}
	if d.record.Skipped() {
		m.Skipped++
	}
	m.Done = m.Done.with(u.ordinal)
	return true
}

// A unitID names a unit of a campaign.
type unitID struct {
	campaign string
	plan     int // which of the campaign's plans
	index    int
	ordinal  int    // among all units of the campaign
	key      string // in the campaign: plan.index
}

// log is the name of the unit's log.
func (u unitID) log() string { return u.campaign + "." + u.key }

func moneyKey(campaign string) string { return "money." + campaign }

// updateMoney changes a campaign's money document.
func updateMoney(ctx context.Context, s Store, campaign string, change func(m *Money) (changed bool, err error)) (m Money, err error) {
	err = s.Update(ctx, moneyKey(campaign), func(old []byte) ([]byte, error) {
		m = Money{}
		if old == nil {
			return nil, fmt.Errorf("fleet: campaign %s has no money document: it was not submitted", campaign)
		}
		if err := json.Unmarshal(old, &m); err != nil {
			return nil, fmt.Errorf("fleet: the money document of campaign %s: %w", campaign, err)
		}
		changed, err := change(&m)
		if err != nil || !changed {
			return nil, err
		}
		return json.Marshal(&m)
	})
	return m, err
}

// readMoney returns a campaign's money document.
func readMoney(ctx context.Context, s Store, campaign string) (Money, error) {
	return updateMoney(ctx, s, campaign, func(*Money) (bool, error) { return false, nil })
}
