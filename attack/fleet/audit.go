package fleet

import (
	"context"
	"fmt"
)

// An Audit is what the logs of a campaign add up to.
type Audit struct {
	Intents   int64 `json:"intents"`   // queries that were announced: the most that may have been paid for
	Answers   int64 `json:"answers"`   // queries whose answers are stored: the least
	Takeovers int   `json:"takeovers"` // in the logs of units that are not done
	Done      int   `json:"done"`      // units with a record
	Units     int   `json:"units"`
	Committed int64 `json:"committed"` // settled or reserved by the money document
	Limit     int64 `json:"limit"`     // 0: none
}

// Audit reads all logs of a campaign, checks that none has lost a frame, and adds them up.
// It is an error if more was announced than the money document knows of, or than the
// limit. A campaign may go on meanwhile: answers were read before intents, and those
// before the money.
func (f *Fleet) Audit(ctx context.Context, campaign string) (*Audit, error) {
	c, err := readCampaign(ctx, f.Store, campaign)
	if err != nil {
		return nil, err
	}
	a := &Audit{}
	var answers int64
	for pass := range 2 { // what grows is read in an order in which it cannot seem wrong
		*a = Audit{}
		for p, n := range c.Units {
			for i := range n {
				if err := f.auditUnit(ctx, c.unit(p, i), a); err != nil {
					return nil, err
				}
			}
		}
		if pass == 0 {
			answers = a.Answers
		}
	}
	a.Answers = answers
	m, err := readMoney(ctx, f.Store, campaign)
	if err != nil {
		return nil, err
	}
	a.Units, a.Committed, a.Limit = m.Units, m.committed(), m.Limit
	switch {
	case a.Intents > a.Committed:
		return a, fmt.Errorf("fleet: campaign %s: %d queries were announced, and the money document knows of %d: %w", campaign, a.Intents, a.Committed, ErrLost)
	case a.Limit > 0 && a.Committed > a.Limit:
		return a, fmt.Errorf("fleet: campaign %s: %d queries are settled or reserved of %d", campaign, a.Committed, a.Limit)
	}
	return a, nil
}

// auditUnit adds a unit's log.
func (f *Fleet) auditUnit(ctx context.Context, id unitID, a *Audit) error {
	frames, err := readAll(ctx, f.Store, id.log(), 0)
	if err != nil {
		return err
	}
	l := &unitLog{objects: f.Objects, id: id}
	done, err := l.replay(ctx, frames)
	if err != nil {
		return err
	}
	if done != nil {
		a.Done++
	}
	a.Takeovers += l.takeovers
	a.Intents += l.spent
	a.Answers += l.answered
	return nil
}
