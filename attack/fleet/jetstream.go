package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams and subjects of a fleet.
const (
	logStream    = "METTLE_LOG"
	docStream    = "METTLE_DOC"
	workStream   = "METTLE_WORK"
	objectBucket = "METTLE"
	logPrefix    = "mettle.log."
	docPrefix    = "mettle.doc."
	workPrefix   = "mettle.work."
)

// JetStream is a [Store], and [Objects], on NATS JetStream: a log is a subject, and so is
// a document, of which the last message counts.
type JetStream struct {
	js      jetstream.JetStream
	logs    jetstream.Stream
	docs    jetstream.Stream
	objects jetstream.ObjectStore
	timeout time.Duration // of a request
	// trouble is told of failures that are tried again.
	trouble func(error)
}

// CreateStreams makes the streams and the object store of a fleet where they are missing.
// It is an error if they are there with another number of replicas; 0 replicas take what
// there is, and make 1.
func CreateStreams(ctx context.Context, nc *nats.Conn, replicas int) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for _, c := range []jetstream.StreamConfig{
		{Name: logStream, Subjects: []string{logPrefix + ">"}, DenyDelete: true, MaxMsgsPerSubject: -1},
		{Name: docStream, Subjects: []string{docPrefix + ">"}, DenyDelete: true, MaxMsgsPerSubject: 1},
		// A unit stands in the queue once, however often it is put there.
		{Name: workStream, Subjects: []string{workPrefix + ">"}, Retention: jetstream.WorkQueuePolicy,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true},
	} {
		c.Storage, c.Replicas = jetstream.FileStorage, replicas
		c.MaxMsgs, c.MaxBytes = -1, -1
		if err := createStream(ctx, js, c); err != nil {
			return err
		}
	}
	_, err = js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: objectBucket, Storage: jetstream.FileStorage, Replicas: max(replicas, 1)})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return explain(err)
	}
	return nil
}

func createStream(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		wanted := c
		wanted.Replicas = max(c.Replicas, 1)
		s, err = js.CreateStream(ctx, wanted)
	}
	if err != nil {
		return explain(err)
	}
	if got := s.CachedInfo().Config; c.Replicas > 0 && got.Replicas != c.Replicas {
		return fmt.Errorf("fleet: stream %s has %d replicas, and %d are wanted: %w", c.Name, got.Replicas, c.Replicas, ErrRefused)
	}
	return nil
}

// NewJetStream returns the store on the streams that CreateStreams made. trouble, if not
// nil, is told of failures that are tried again.
func NewJetStream(ctx context.Context, nc *nats.Conn, trouble func(error)) (*JetStream, error) {
	const timeout = 5 * time.Second
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(timeout))
	if err != nil {
		return nil, err
	}
	if trouble == nil {
		trouble = func(error) {}
	}
	s := &JetStream{js: js, timeout: timeout, trouble: trouble}
	for name, into := range map[string]*jetstream.Stream{logStream: &s.logs, docStream: &s.docs} {
		if *into, err = js.Stream(ctx, name); err != nil {
			return nil, missing(err)
		}
	}
	if s.objects, err = js.ObjectStore(ctx, objectBucket); err != nil {
		return nil, missing(err)
	}
	return s, nil
}

// ErrNoFleet says that the servers hold no streams of a fleet.
var ErrNoFleet = errors.New("fleet: no campaign was submitted to these servers yet")

func missing(err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return ErrNoFleet
	}
	return explain(err)
}

// explain marks the errors that another try will not mend, and names the others.
func explain(err error) error {
	if err == nil {
		return nil
	}
	refused := func(what string) error { return fmt.Errorf("fleet: %s: %w: %w", what, ErrRefused, err) }
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrPermissionViolation):
		return refused("the servers do not accept these credentials")
	case errors.Is(err, nats.ErrMaxPayload):
		return refused("a message is larger than the servers take")
	case errors.As(err, &api):
		switch api.ErrorCode {
		case 10023, 10028, 10047: // insufficient resources, memory and storage exceeded
			return refused("the servers have no room left")
		case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
			return refused("JetStream is off, or was switched off because a disk is full")
		}
		if strings.Contains(api.Description, "no space left") {
			return refused("a disk of the servers is full")
		}
	}
	return err
}

// again tells of a failure that is tried again.
func (s *JetStream) again(err error) {
	if transient(err) {
		s.trouble(err)
	}
}

// Append implements Store.
func (s *JetStream) Append(ctx context.Context, log string, pos uint64, frame []byte) (uint64, error) {
	at, err := s.publish(ctx, logPrefix+log, pos, frame)
	if err != nil && !errors.Is(err, ErrFenced) && ctx.Err() == nil {
		s.again(err)
	}
	return at, err
}

// publish appends to a subject whose last message must have sequence pos.
func (s *JetStream) publish(ctx context.Context, subject string, pos uint64, b []byte) (uint64, error) {
	short, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ack, err := s.js.Publish(short, subject, b, jetstream.WithExpectLastSequencePerSubject(pos), jetstream.WithRetryAttempts(0))
	if err == nil {
		return ack.Sequence, nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return 0, fmt.Errorf("%s does not end at %d: %w", subject, pos, ErrFenced)
	}
	if ctx.Err() == nil && short.Err() != nil {
		return 0, s.silent(err)
	}
	return 0, explain(err)
}

// silent says why a write was not acknowledged, if the servers know: NATS answers nothing
// when it cannot write to its disk.
func (s *JetStream) silent(err error) error {
	err = fmt.Errorf("a write was not acknowledged in time: %w", err)
	servers := map[string]Durability{}
	if aerr := askDurability(s.js.Conn(), servers); aerr != nil {
		return errors.Join(err, aerr)
	}
	for name, d := range servers {
		switch {
		case d.Trouble == "":
		case d.Clustered: // the others can go on
			err = fmt.Errorf("server %s cannot write: %s: %w", name, d.Trouble, err)
		default:
			return fmt.Errorf("fleet: server %s cannot write: %s; see to that, such as by room on a full disk, and start the server again: %w", name, d.Trouble, ErrRefused)
		}
	}
	return err
}

// Read implements Store. A log is read by the leader of its stream, message by message if
// they are few.
func (s *JetStream) Read(ctx context.Context, log string, after uint64) ([]Frame, error) {
	frames, err := s.read(ctx, logPrefix+log, after)
	if err != nil && ctx.Err() == nil {
		err = explain(err)
		s.again(err)
	}
	return frames, err
}

func (s *JetStream) read(ctx context.Context, subject string, after uint64) ([]Frame, error) {
	short, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	last, err := s.logs.GetLastMsgForSubject(short, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil || last.Sequence <= after {
		return nil, err
	}
	var frames []Frame
	const few = 8
	for at := after; at < last.Sequence && len(frames) < few; {
		m, err := s.logs.GetMsg(short, at+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		frames = append(frames, Frame{m.Sequence, m.Data})
		at = m.Sequence
	}
	if len(frames) == 0 || frames[len(frames)-1].Pos >= last.Sequence {
		return frames, nil
	}
	c, err := s.logs.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: frames[len(frames)-1].Pos + 1,
	})
	if err != nil {
		return nil, err
	}
	messages, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(s.timeout))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		frames = append(frames, Frame{meta.Sequence.Stream, m.Data()})
		if meta.Sequence.Stream >= last.Sequence {
			return frames, nil
		}
	}
}

// Trim implements Store.
func (s *JetStream) Trim(ctx context.Context, log string, pos uint64) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.logs.Purge(ctx, jetstream.WithPurgeSubject(logPrefix+log), jetstream.WithPurgeSequence(pos))
}

// Update implements Store.
func (s *JetStream) Update(ctx context.Context, key string, change func(old []byte) ([]byte, error)) error {
	subject := docPrefix + key
	for try := 0; ; try++ {
		old, pos, err := s.document(ctx, subject)
		if err == nil {
			var doc []byte
			doc, err = change(old)
			if err != nil || doc == nil {
				return err
			}
			_, err = s.publish(ctx, subject, pos, doc)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrFenced):
		case !transient(err):
			return err
		case ctx.Err() == nil:
			s.again(err)
		}
		if perr := Pause(ctx, try); perr != nil {
			return fmt.Errorf("fleet: document %s: %w", key, errors.Join(perr, err))
		}
	}
}

// document returns a document and its sequence, which is 0 if there is none.
func (s *JetStream) document(ctx context.Context, subject string) ([]byte, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := s.docs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, explain(err)
	}
	return m.Data, m.Sequence, nil
}

// Documents implements Store.
func (s *JetStream) Documents(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, docStream) // a handle of its own: Info changes it
	if err != nil {
		return nil, explain(err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(docPrefix+">"))
	if err != nil {
		return nil, explain(err)
	}
	var keys []string
	for subject := range info.State.Subjects {
		if key := strings.TrimPrefix(subject, docPrefix); strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Now implements Store: it is the time of the server that leads the documents.
func (s *JetStream) Now(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, docStream)
	if err != nil {
		return time.Time{}, explain(err)
	}
	t := stream.CachedInfo().TimeStamp
	if t.IsZero() {
		return t, fmt.Errorf("fleet: the servers do not tell the time; they must be NATS 2.15 or newer: %w", ErrRefused)
	}
	return t, nil
}

// storing is how long an object may take.
const storing = 30 * time.Second

// Put implements Objects.
func (s *JetStream) Put(ctx context.Context, b []byte) (string, error) {
	name := objectName(b)
	return name, s.retry(ctx, "object "+name[:16], storing, func(ctx context.Context) error {
		if _, err := s.objects.GetInfo(ctx, name); err == nil {
			return nil
		}
		_, err := s.objects.PutBytes(ctx, name, b)
		return err
	})
}

// Get implements Objects.
func (s *JetStream) Get(ctx context.Context, name string) (b []byte, err error) {
	err = s.retry(ctx, fmt.Sprintf("object %.16s", name), storing, func(ctx context.Context) (err error) {
		b, err = s.objects.GetBytes(ctx, name)
		if errors.Is(err, jetstream.ErrObjectNotFound) {
			return fmt.Errorf("it is not there: %w", ErrLost)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, checkObject(name, b)
}

// retry calls f, each time with so long a timeout, until it succeeds, or fails so that
// another try does not help.
func (s *JetStream) retry(ctx context.Context, what string, timeout time.Duration, f func(ctx context.Context) error) error {
	for try := 0; ; try++ {
		short, cancel := context.WithTimeout(ctx, timeout)
		err := explain(f(short))
		if err != nil && ctx.Err() == nil && short.Err() != nil {
			err = s.silent(err)
		}
		cancel()
		switch {
		case err == nil:
			return nil
		case !transient(err):
			return fmt.Errorf("fleet: %s: %w", what, err)
		}
		s.trouble(err)
		if perr := Pause(ctx, try); perr != nil {
			return fmt.Errorf("fleet: %s: %w", what, errors.Join(perr, err))
		}
	}
}
