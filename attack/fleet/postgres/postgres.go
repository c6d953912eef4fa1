// Package postgres keeps the logs and documents of a fleet in PostgreSQL: a second store
// behind the interface of [fleet.Store]. The server must run with fsync and
// synchronous_commit on, which are its defaults, and Open refuses one that does not.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mettleml/mettle/attack/fleet"
)

// A Store is a [fleet.Store] in a database.
type Store struct{ pool *pgxpool.Pool }

const schema = `
CREATE TABLE IF NOT EXISTS mettle_frames (
	log text NOT NULL, pos bigint NOT NULL, prev bigint NOT NULL, frame bytea NOT NULL,
	PRIMARY KEY (log, pos), UNIQUE (log, prev));
CREATE TABLE IF NOT EXISTS mettle_documents (key text PRIMARY KEY, version bigint NOT NULL, document bytea NOT NULL)`

// Open connects to a database, by a URL or a string of settings as libpq takes it, and
// makes the tables if they are missing.
func Open(ctx context.Context, address string) (*Store, error) {
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	s := &Store{pool}
	if err := s.prepare(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("fleet: the database: %w", err)
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var v string
		if err := s.pool.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&v); err != nil {
			return err
		}
		if v == "off" || setting == "synchronous_commit" && v == "local" {
			return fmt.Errorf("%s is %s: a server that loses power would forget what it has acknowledged: %w", setting, v, fleet.ErrRefused)
		}
	}
	_, err := s.pool.Exec(ctx, schema)
	return err
}

// Close closes the connections.
func (s *Store) Close() { s.pool.Close() }

// failed marks the errors that another try will not mend.
func failed(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "28", "42", "53", "3D": // authorization, syntax or access, resources (a full disk), no such database
			return fmt.Errorf("fleet: the database: %w: %w", fleet.ErrRefused, err)
		}
	}
	return fmt.Errorf("fleet: the database: %w", err)
}

// Read implements fleet.Store.
func (s *Store) Read(ctx context.Context, log string, after uint64) ([]fleet.Frame, error) {
	rows, err := s.pool.Query(ctx, "SELECT pos, frame FROM mettle_frames WHERE log = $1 AND pos > $2 ORDER BY pos", log, int64(after))
	if err != nil {
		return nil, failed(err)
	}
	frames, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (f fleet.Frame, err error) {
		var pos int64
		err = r.Scan(&pos, &f.Data)
		f.Pos = uint64(pos)
		return f, err
	})
	if err != nil {
		return nil, failed(err)
	}
	return frames, nil
}

// Append implements fleet.Store: a log's positions count from 1, and the table has no room
// for two frames behind the same one.
func (s *Store) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	tag, err := s.pool.Exec(ctx, `INSERT INTO mettle_frames (log, pos, prev, frame)
		SELECT $1, $2 + 1, $2, $3 WHERE $2 = (SELECT coalesce(max(pos), 0) FROM mettle_frames WHERE log = $1)
		ON CONFLICT DO NOTHING`, log, int64(pos), frame)
	if err != nil {
		return 0, failed(err)
	}
	if tag.RowsAffected() == 0 {
		return 0, fmt.Errorf("log %s does not end at %d: %w", log, pos, fleet.ErrFenced)
	}
	return pos + 1, nil
}

// Trim implements fleet.Store.
func (s *Store) Trim(ctx context.Context, log string, pos uint64) error {
	_, err := s.pool.Exec(ctx, "DELETE FROM mettle_frames WHERE log = $1 AND pos < $2", log, int64(pos))
	if err != nil {
		return failed(err)
	}
	return nil
}

// Update implements fleet.Store.
func (s *Store) Update(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	for try := 0; ; try++ {
		done, err := s.update(ctx, key, change)
		if done || errors.Is(err, fleet.ErrRefused) {
			return err
		}
		if perr := fleet.Pause(ctx, try); perr != nil {
			return errors.Join(perr, err)
		}
	}
}

// update tries once. It is done if no other try is to follow.
func (s *Store) update(ctx context.Context, key string, change func(old []byte) ([]byte, error)) (done bool, err error) {
	var old []byte
	var version int64
	err = s.pool.QueryRow(ctx, "SELECT version, document FROM mettle_documents WHERE key = $1", key).Scan(&version, &old)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, failed(err)
	}
	doc, err := change(old)
	if err != nil || doc == nil {
		return true, err
	}
	var tag pgconn.CommandTag
	if version == 0 {
		tag, err = s.pool.Exec(ctx, "INSERT INTO mettle_documents (key, version, document) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING", key, doc)
	} else {
		tag, err = s.pool.Exec(ctx, "UPDATE mettle_documents SET version = version + 1, document = $3 WHERE key = $1 AND version = $2", key, version, doc)
	}
	if err != nil {
		return false, failed(err)
	}
	return tag.RowsAffected() == 1, nil
}

// Documents implements fleet.Store.
func (s *Store) Documents(ctx context.Context, prefix string) ([]string, error) {
	rows, err := s.pool.Query(ctx, "SELECT key FROM mettle_documents WHERE starts_with(key, $1) ORDER BY key", prefix)
	if err != nil {
		return nil, failed(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, failed(err)
	}
	return keys, nil
}

// Now implements fleet.Store.
func (s *Store) Now(ctx context.Context) (t time.Time, err error) {
	if err = s.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&t); err != nil {
		return t, failed(err)
	}
	return t, nil
}
