package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/nats-io/nats.go/jetstream"
)

// printOf names a platform in subjects.
func printOf(p attack.Platform) string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // of four strings
	}
	return objectName(b)[:16]
}

// enqueue puts a unit into the queue, unless it is there.
func (s *JetStream) enqueue(ctx context.Context, p attack.Platform, u unitID) error {
	subject := workPrefix + printOf(p) + "." + u.campaign + "." + u.key
	return s.retry(ctx, "the queue", s.timeout, func(ctx context.Context) error {
		_, err := s.js.Publish(ctx, subject, nil)
		var api *jetstream.APIError
		if errors.As(err, &api) && strings.Contains(api.Description, "maximum messages per subject") {
			return nil // it is there
		}
		return err
	})
}

// A task is a unit that was handed out by the queue.
type task struct {
	campaign   string
	plan, unit int
	msg        jetstream.Msg
}

// tasks is this platform's part of the queue. A task whose worker does not speak up for
// wait is handed out again.
func (s *JetStream) tasks(ctx context.Context, p attack.Platform, wait time.Duration) (c jetstream.Consumer, err error) {
	print := printOf(p)
	err = s.retry(ctx, "the queue", s.timeout, func(ctx context.Context) (err error) {
		c, err = s.js.CreateOrUpdateConsumer(ctx, workStream, jetstream.ConsumerConfig{
			Durable: "work-" + print, FilterSubject: workPrefix + print + ".>", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: wait, MaxAckPending: -1, MaxDeliver: -1, MaxWaiting: 4096,
		})
		return err
	})
	return c, err
}

// next waits some seconds for a task, and returns nil if there is none.
func next(ctx context.Context, c jetstream.Consumer, wait time.Duration) (*task, error) {
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(wait))
	if err != nil {
		return nil, explain(err)
	}
	select {
	case m, ok := <-batch.Messages():
		if !ok {
			return nil, explain(batch.Error())
		}
		part := strings.Split(strings.TrimPrefix(m.Subject(), workPrefix), ".")
		if len(part) != 4 {
			return nil, fmt.Errorf("fleet: the queue holds %s", m.Subject())
		}
		plan, err1 := strconv.Atoi(part[2])
		unit, err2 := strconv.Atoi(part[3])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("fleet: the queue holds %s: %w", m.Subject(), err)
		}
		return &task{part[1], plan, unit, m}, nil
	case <-ctx.Done():
		go func() { // one that comes yet is for others
			for m := range batch.Messages() {
				m.Nak()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// keep tells the queue that the task is worked on, until the returned function is called.
func (t *task) keep(wait time.Duration) (stop func()) {
	end := make(chan struct{})
	go func() {
		tick := time.NewTicker(wait / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.msg.InProgress()
			case <-end:
				return
			}
		}
	}()
	return func() { close(end) }
}
