package fleet

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mettleml/mettle/attack"
)

// SetSkew makes this process read a wall clock that is wrong by d; its monotonic clock is
// right, as on a machine whose time is not set.
func SetSkew(d time.Duration) {
	clockNow = func() time.Time { return time.Now().Add(d) }
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
