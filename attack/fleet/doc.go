// Package fleet runs a campaign of package attack on many machines, over NATS JetStream.
// The commands fleet and fleet-worker are in cmd; see the README for their use.
//
//	f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: fleet.Connection{URL: "nats://host:4222"}, Create: true})
//	...
//	file, err := fleet.ReadFile("campaign.json")
//	c, err := f.Submit(ctx, file)
//	...
//	err = f.Work(ctx, fleet.WorkOptions{Journal: "journal"}) // on each machine
//	...
//	results, err := f.Fetch(ctx, c.Name, false)
//
// # Units
//
// Each attack of a campaign file makes an [attack.Plan], and each sample of that is a unit.
// Units stand in a work queue, by the platform that can reproduce them. A worker takes a
// unit, tells the queue that it is at it, and acknowledges it only after the unit's record
// is stored. If it falls silent, the queue hands the unit to another.
//
// # The log
//
// Each unit has a log. A worker begins with a takeover record, and then appends an intent
// before each call and the answer after it. Every append names the position that it
// follows. So a worker that was paused, and whose unit was taken over meanwhile, can
// append nothing more (ErrFenced), and as no call is sent before its intent is stored, it
// can pay for nothing more than the one call it had announced. No clock is needed for
// that. A frame carries a nonce, by which a worker recognises its own append whose
// acknowledgement was lost.
//
// # Money
//
// The [Money] document holds what is settled and what is reserved by each unit. A unit
// reserves before it announces. Reservations belong to units, so a successor inherits
// them, and they go back when a unit ends, or when it has to wait because nothing is left:
// then whatever it holds beyond what it has spent serves others. A campaign stops at its
// limit when no unit can go on. Every change can be applied twice without harm, because an
// acknowledgement can be lost.
//
// # Rate
//
// The [Window] document holds the calls that count at a victim. Times are the store's.
//
// # Stores
//
// What must not be lost is behind a small interface, [Store]: read a log, append at a
// position, update a document. [JetStream] is one, package postgres another, and package
// storetest says what both must do. Samples, networks and what is large are [Objects].
//
// # Attacks of your own
//
// A program that registers an attack (attack.Register) and calls [Fleet.Work] is a worker
// for it; the campaign file names it as any other.
package fleet
