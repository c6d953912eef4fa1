#!/bin/bash
# Workers on a cluster that Slurm runs: one task is one worker. Build the binary first,
# with the Go version that submitted the campaign:
#
#	CGO_ENABLED=0 go build -o fleet-worker ./cmd/fleet-worker
#
# and put the address of the servers and the token's file in.
#SBATCH --job-name=mettle
#SBATCH --ntasks=16
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=1G
#SBATCH --time=08:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue

servers=${FLEET_SERVERS:?the address of the servers, nats://HOST:4222}
METTLE_FLEET_TOKEN=$(cat "${FLEET_TOKEN_FILE:-$HOME/.mettle-token}")
export METTLE_FLEET_TOKEN
# All nodes must choose one kernel set: that of the machine that submitted.
export METTLE_KERNEL=${METTLE_KERNEL:-avx2}

# The journal must be on a disk that keeps it: not on a node's /tmp if jobs are requeued
# to other nodes.
srun ./fleet-worker -units 2 -exit-idle 5m -journal "$HOME/mettle-journal" "$servers"
