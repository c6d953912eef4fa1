package attack

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/mettleml/mettle/zoo"
)

// A Log keeps the queries and answers of the attack on one sample, so that a killed run can
// go on without sending them again. A [Journal] keeps logs in a file; a program that
// spreads a campaign over machines brings its own.
type Log interface {
	// Entries returns the entries of the log in the order in which they were appended.
	Entries(ctx context.Context) ([]Entry, error)
	// Append adds an entry. When it returns nil the entry survives a kill of the process.
	// An intent is appended before its queries are sent.
	Append(ctx context.Context, e Entry) error
}

// EntryKind says what an [Entry] tells.
type EntryKind byte

// The kinds of entries.
const (
	EntryIntent      EntryKind = 'I' // N queries are about to be sent as call Call
	EntryAgain       EntryKind = 'A' // N queries of the call under way are about to be sent again
	EntryScores      EntryKind = 'S' // the call's answer in scores
	EntryLabels      EntryKind = 'L' // the call's answer in labels
	EntryEvaluations EntryKind = 'E' // what the attack's loss made of the call's answer
	EntryDone        EntryKind = 'D' // the record of the sample, which ends its entries
)

// An Entry is one entry of a [Log].
type Entry struct {
	Kind        EntryKind
	Call        int    // calls of a sample are numbered from 0
	N           int    // queries that are sent, or answered
	Digest      uint64 // of the pixels of an intent
	Scores      []float64
	Labels      []int
	Evaluations []zoo.Evaluation
	Done        *Record
	Seconds     float64 // of work on the sample, with Done
}

// doneJSON is how a log holds a record.
type doneJSON struct {
	Record  *Record `json:"record"`
	Seconds float64 `json:"seconds"`
}

var errEntry = errors.New("an entry's content does not fit its kind")

// AppendBinary appends the entry in the form in which logs keep it: the kind (1 byte),
// the call and N (uint32 each), and then for an intent Digest (uint64), for an answer
// float64, uint32, or float64 and uint32 for each value, and for Done JSON. All numbers
// are little-endian.
func (e *Entry) AppendBinary(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	b = le.AppendUint32(le.AppendUint32(append(b, byte(e.Kind)), uint32(e.Call)), uint32(e.N))
	switch e.Kind {
	case EntryIntent:
		b = le.AppendUint64(b, e.Digest)
	case EntryAgain:
	case EntryScores:
		for _, v := range e.Scores {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	case EntryLabels:
		for _, v := range e.Labels {
			b = le.AppendUint32(b, uint32(v))
		}
	case EntryEvaluations:
		for _, v := range e.Evaluations {
			b = le.AppendUint32(le.AppendUint64(b, math.Float64bits(v.Loss)), uint32(v.Label))
		}
	case EntryDone:
		js, err := json.Marshal(doneJSON{e.Done, e.Seconds})
		return append(b, js...), err
	default:
		return b, errEntry
	}
	return b, nil
}

// entrySizes are the bytes that the values of an entry take: one value for an intent, and
// as many as there are for the others.
var entrySizes = map[EntryKind]int{EntryIntent: 8, EntryAgain: 1, EntryScores: 8, EntryLabels: 4, EntryEvaluations: 12, EntryDone: 1}

// UnmarshalBinary is the inverse of AppendBinary.
func (e *Entry) UnmarshalBinary(b []byte) error {
	if len(b) < 9 {
		return errEntry
	}
	le := binary.LittleEndian
	*e = Entry{Kind: EntryKind(b[0]), Call: int(le.Uint32(b[1:])), N: int(le.Uint32(b[5:]))}
	b = b[9:]
	each := entrySizes[e.Kind]
	if each == 0 || len(b)%each != 0 || e.N > maxFrame {
		return errEntry
	}
	count := len(b) / each
	bad := false
	switch e.Kind {
	case EntryIntent:
		bad = count != 1 || e.N == 0
	case EntryAgain:
		bad = count != 0 || e.N == 0
	case EntryScores:
		bad = e.N == 0 || count == 0 || count%e.N != 0
	case EntryLabels, EntryEvaluations:
		bad = e.N == 0 || count != e.N
	}
	if bad {
		return errEntry
	}
	switch e.Kind {
	case EntryIntent:
		e.Digest = le.Uint64(b)
	case EntryDone:
		var d doneJSON
		if err := json.Unmarshal(b, &d); err != nil {
			return fmt.Errorf("a record: %w", err)
		}
		if d.Record == nil {
			return errEntry
		}
		e.Done, e.Seconds = d.Record, d.Seconds
	case EntryScores:
		for ; len(b) > 0; b = b[each:] {
			e.Scores = append(e.Scores, math.Float64frombits(le.Uint64(b)))
		}
	case EntryLabels:
		for ; len(b) > 0; b = b[each:] {
			e.Labels = append(e.Labels, int(int32(le.Uint32(b))))
		}
	case EntryEvaluations:
		for ; len(b) > 0; b = b[each:] {
			e.Evaluations = append(e.Evaluations, zoo.Evaluation{Loss: math.Float64frombits(le.Uint64(b)), Label: int(int32(le.Uint32(b[8:])))})
		}
	}
	return nil
}

// Sent returns the number of queries that the entry announces.
func (e *Entry) Sent() int64 {
	if e.Kind == EntryIntent || e.Kind == EntryAgain {
		return int64(e.N)
	}
	return 0
}

// Answered returns the number of queries whose answers the entry holds.
func (e *Entry) Answered() int64 {
	if e.Kind == EntryScores || e.Kind == EntryLabels || e.Kind == EntryEvaluations {
		return int64(e.N)
	}
	return 0
}

// replayed is a call that stands in a log.
type replayed struct {
	digest uint64
	n      int
	answer *Entry // nil if it was under way
}

// readLog makes of a sample's entries the calls that they tell of, or its record if it is
// done. There is an error if they cannot be those of one attack.
func readLog(entries []Entry) (calls []replayed, done *Record, err error) {
	for i := range entries {
		e := &entries[i]
		if done != nil {
			return nil, nil, fmt.Errorf("an entry of kind %q follows the record", e.Kind)
		}
		var last *replayed // under way
		if n := len(calls); n > 0 && calls[n-1].answer == nil {
			last = &calls[n-1]
		}
		current := last != nil && e.Call == len(calls)-1
		switch {
		case e.Kind == EntryDone:
			done = e.Done
			done.Seconds = e.Seconds
		case e.Kind == EntryIntent && last == nil && e.Call == len(calls):
			calls = append(calls, replayed{digest: e.Digest, n: e.N})
		case e.Kind == EntryIntent && current: // asked again after a kill
			if last.digest != e.Digest || last.n != e.N {
				return nil, nil, fmt.Errorf("call %d was asked twice with different pixels", e.Call)
			}
		case e.Kind == EntryAgain && current && e.N <= last.n:
		case e.Answered() > 0 && current && e.N == last.n:
			last.answer = e
		default:
			return nil, nil, fmt.Errorf("an entry of kind %q of call %d is out of order", e.Kind, e.Call)
		}
	}
	return calls, done, nil
}
