#!/bin/sh
# The command takes this shell's place; before that, what the lab asked for while it ran: /pglab/keep has
# the state in /pglab/data copied to /pglab/kept, /pglab/bring has it brought back from there.
set -eu
cd /pglab

if [ -e keep ]; then
  rm -rf kept
  cp -a data kept
  rm keep
fi
if [ -e bring ]; then
  rm -rf data
  cp -a kept data
  rm bring
fi

exec "$@"
