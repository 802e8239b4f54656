#!/bin/sh
# Train the testbed's tiny model on questions of your own. Further arguments are passed on.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python -m rlavr_hpc.run \
  data=jsonl \
  data.path="$here/questions.jsonl" \
  data.holdout=0.2 \
  model=testbed \
  rollout=hf \
  acquisition=random \
  budget=0.5 \
  algorithm.batch=16 \
  steps=40 \
  eval_every=10 \
  run_dir=runs/own_data \
  "$@"
