package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/internal/pgtest"
	"github.com/mettleml/mettle/attack/fleet/storetest"
)

func TestStore(t *testing.T) {
	ctx := context.Background()
	pg := pgtest.Start(t)
	s, err := Open(ctx, pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.Run(t, s)
	if _, err := Open(ctx, strings.Replace(pg.URL(), "dbname=postgres", "dbname=other", 1)); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a database that is not there: %v", err)
	}
	pg.Kill()
	pg.Restart("-c", "synchronous_commit=off")
	if _, err := Open(ctx, pg.URL()); !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("a database that forgets: %v", err)
	}
}
