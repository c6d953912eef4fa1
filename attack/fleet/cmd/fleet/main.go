// Fleet runs campaigns on one machine or many.
//
//	fleet run campaign.json                 here, with nothing to install and nothing listening
//
//	fleet serve -listen :4222               servers that keep campaigns
//	fleet submit campaign.json ADDRESS      gives them one
//	fleet work ADDRESS                      runs units of what they hold, on any number of machines
//	fleet status ADDRESS [CAMPAIGN]         tells how far it is
//	fleet fetch ADDRESS CAMPAIGN            gets the results
//	fleet audit ADDRESS CAMPAIGN            reads every log, checks it, and adds them up
//	fleet stop ADDRESS CAMPAIGN             stops it; submit lets it go on
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/mettleml/mettle/attack/fleet/internal/command"
)

const usage = `usage: fleet COMMAND [flags] ...

  run CAMPAIGN.json                here, with nothing to install and nothing listening
  serve                            a server that keeps campaigns
  submit CAMPAIGN.json ADDRESS     give the servers a campaign, or another limit or rate
  work ADDRESS                     run units of what the servers hold
  status ADDRESS [CAMPAIGN]        tell how far it is
  fetch ADDRESS CAMPAIGN           get the results
  audit ADDRESS CAMPAIGN           read every log, check it, and add them up
  stop ADDRESS CAMPAIGN            stop it; submit lets it go on

ADDRESS is nats://HOST:PORT, or several with commas between them.
fleet COMMAND -h lists a command's flags.
`

func main() {
	ctx, stop := command.Context()
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	var err error
	switch name {
	case "run":
		err = run(ctx, args)
	case "serve":
		err = serve(ctx, args)
	case "submit":
		err = submit(ctx, args)
	case "work":
		err = command.Work(ctx, "fleet work", args)
	case "status":
		err = status(ctx, args)
	case "fetch":
		err = fetch(ctx, args)
	case "audit":
		err = audit(ctx, args)
	case "stop":
		err = stopCampaign(ctx, args)
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "fleet: no command %q\n\n%s", name, usage)
		os.Exit(2)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	command.Exit("fleet "+name, err)
}
