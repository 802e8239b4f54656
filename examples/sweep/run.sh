#!/bin/sh
# Compare policies over seeds, then read the report. Further arguments are passed to every run.
# On a cluster, add: hydra/launcher=slurm cluster=SITE
set -eu
policies=${POLICIES:-none,random,full}
seeds=${SEEDS:-1,2,3}

python -m rlavr_hpc.run -m \
  name=policies \
  "acquisition=$policies" \
  "seed=$seeds" \
  rollout=hf \
  "$@"

python -m rlavr_hpc report runs/policies --out runs/policies-report
