package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/nats-io/nats.go/jetstream"
)

// SetSkew makes this process read a wall clock that is wrong by d; its monotonic clock is
// right, as on a machine whose time is not set.
func SetSkew(d time.Duration) {
	clockNow = func() time.Time { return time.Now().Add(d) }
}

// SetFresh sets how long a worker trusts that a victim is as it was.
func SetFresh(t testing.TB, d time.Duration) {
	old := fresh
	fresh = d
	t.Cleanup(func() { fresh = old })
}

// ChangePlatform makes a campaign one of another platform.
func ChangePlatform(ctx context.Context, f *Fleet, campaign string, change func(p *attack.Platform)) error {
	return f.Store.Update(ctx, campaignKey(campaign), func(old []byte) ([]byte, error) {
		var c Campaign
		if err := json.Unmarshal(old, &c); err != nil {
			return nil, err
		}
		change(&c.Platform)
		return json.Marshal(c)
	})
}

// CallsName is the campaign of RunCalls.
const CallsName = simName

// PrepareCalls stores the documents of a campaign of so many units.
func PrepareCalls(ctx context.Context, s Store, units int) error {
	c, err1 := json.Marshal(Campaign{Name: simName, Units: []int{units}, Attacks: []string{"calls"}})
	m, err2 := json.Marshal(Money{Units: units})
	put := func(key string, b []byte) error {
		return s.Update(ctx, key, func([]byte) ([]byte, error) { return b, nil })
	}
	return errors.Join(err1, err2, put(campaignKey(simName), c), put(moneyKey(simName), m))
}

// RunCalls runs a unit of so many calls of one query.
func RunCalls(ctx context.Context, s Store, j *Journal, i, calls int) error {
	id := simUnit(i)
	l, _, err := takeOver(ctx, s, nil, j, nil, id, "w")
	if err != nil {
		return err
	}
	for k := range calls {
		if err := errors.Join(l.Append(ctx, intent(k, 1)), l.Append(ctx, answer(k, 1))); err != nil {
			return err
		}
	}
	rec := &attack.Record{Index: i}
	if err := l.Append(ctx, attack.Entry{Kind: attack.EntryDone, Done: rec}); err != nil {
		return err
	}
	done := &doneUnit{record: rec, sent: int(l.spent), answered: int(l.answered)}
	if _, err := updateMoney(ctx, s, simName, func(m *Money) (bool, error) { return m.settle(id, done), nil }); err != nil {
		return err
	}
	return s.Trim(ctx, id.log(), l.pos)
}

// Stored is how many bytes logs and documents take at the servers.
func Stored(t testing.TB, f *Fleet) (sum uint64) {
	t.Helper()
	for _, s := range []jetstream.Stream{f.stream.logs, f.stream.docs} {
		info, err := s.Info(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		sum += info.State.Bytes
	}
	return sum
}
