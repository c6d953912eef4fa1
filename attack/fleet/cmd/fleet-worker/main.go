// Fleet-worker runs units of the campaigns that a fleet's servers hold: one static binary
// and an address. It is the command fleet work without the server in it.
//
//	CGO_ENABLED=0 go build ./cmd/fleet-worker
//	fleet-worker -token SECRET nats://HOST:4222
package main

import (
	"os"

	"github.com/mettleml/mettle/attack/fleet/internal/command"
)

func main() {
	ctx, stop := command.Context()
	defer stop()
	command.Exit("fleet-worker", command.Work(ctx, "fleet-worker", os.Args[1:]))
}
