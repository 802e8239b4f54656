#!/usr/bin/env bash
# What a new user types who has read the README and nothing else: a sweep is started, preempted, started
# without delay and extended; a run of a reward with a mistake in it fails and is fixed; another is
# cancelled and continued; every run ends well. Needs Slurm and an empty working directory.
set -euo pipefail

# rlavr VERB...: the command line, also where its script is not installed
rlavr() { python -m rlavr_hpc "$@"; }

# stage NAME: what follows is printed below this heading
stage() { printf '\n### %s (%d s)\n' "$1" "$SECONDS"; }

# launch OVERRIDE...: a sweep that is small enough to watch
launch() {
  python -m rlavr_hpc.run -m hydra/launcher=slurm cluster=local_test rollout=hf "$@" \
    algorithm.batch=16 algorithm.mini_batch=16 algorithm.group_size=4 eval.samples=2 data.eval_limit=8 \
    model.pretrain_steps=400 acquisition.settings.warmup_steps=2
}

# seen DIR: `STATE STEP NODE` of each of its runs
seen() {
  rlavr status "$1" --json |
    sed -E 's/.*"state": "(\w+)", "step": ([0-9]+),.*"node": ("(\w+)"|null),.*/\1 \2 \4/'
}

# until_all DIR PATTERN: every run of it is as the pattern says, within five minutes
until_all() {
  local states deadline=$((SECONDS + 300))
  until states=$(seen "$1") && ! grep -qvE "$2" <<<"$states"; do
    ((SECONDS < deadline)) || { echo "$1 is not $2: $states" >&2 && rlavr status "$1" >&2 && exit 1; }
    sleep 0.7
  done
}

stage "look at the cluster"
rlavr doctor --partition preemptible

stage "start a sweep"
launch name=study steps=100 save_every=25 budget=0.1,0.2

stage "watch it"
until_all runs/study '^running [1-9][0-9]'
rlavr status runs/study

stage "urgent work takes the nodes"
for node in $(seen runs/study | cut -d' ' -f3 | sort -u); do
  sbatch -p urgent --exclusive -w "$node" -t 1 -o /dev/null --wrap 'sleep 1'
done
until_all runs/study ^preempted
rlavr status runs/study

stage "do not wait"
rlavr start-now runs/study

stage "one more budget"
launch name=study steps=100 save_every=25 budget=0.05,0.1,0.2

stage "cancel it again"
new=$(tail -n 1 runs/study/slurm/2/runs.txt)
rlavr cancel "$new"
until_all "$new" ^cancelled
launch name=study steps=100 save_every=25 budget=0.05,0.1,0.2

stage "a reward of one's own"
cat >brief_reward.py <<'PYTHON'
from dataclasses import dataclass


@dataclass
class BriefReward:
    """Agreement with the vote, less something for long answers."""

    def of(self, group, by_vote, own):
        return tuple(vote - len(r.response) / 1000 for vote, r in zip(by_vote, group.rollouts))
PYTHON
launch name=brief steps=5 reward.name=brief reward.target=brief_reward:BriefReward hydra.launcher.max_failures=1
until_all runs/brief ^failed
rlavr status runs/brief

stage "why"
rlavr why runs/brief

stage "mend and retry"
sed -i 's/len(r.response)/len(r.text)/' brief_reward.py
rlavr retry runs/brief "$new"

stage "wait for the end"
until_all runs ^done
rlavr logs runs/brief -n 3
rlavr why "$new"

stage "the same command once more"
launch name=study steps=100 save_every=25 budget=0.05,0.1,0.2

stage "prove the labels"
rlavr ledger verify runs

stage "for programs"
rlavr status runs --json

stage "over"
