#!/bin/sh
# Train the testbed with a task of your own. Further arguments are passed on: run.sh steps=20
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" # where `target: lengths:LengthTask` is found
python -m rlavr_hpc.run \
  "hydra.searchpath=[file://$here/conf]" \
  task=lengths \
  rollout=hf \
  run_dir=runs/own_task \
  "$@"
