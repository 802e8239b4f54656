#!/usr/bin/env bash
# Ends the cluster that up.sh started, with its jobs, and removes its folder; nobody else's daemons.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=slurm/local_cluster/common.sh
source "$here/common.sh"

usage() {
  cat <<'TEXT'
usage: down.sh [--dir DIR]

  --dir DIR  the cluster's folder (default: $RLAVR_SLURM, else ~/.cache/rlavr_hpc/slurm)
TEXT
}

folder=
while [ $# -gt 0 ]; do
  case $1 in
    --dir) [ -n "${2:-}" ] || misuse "--dir needs a value" ;;&
    --dir) folder=$2 && shift ;;
    -h | --help) usage && exit 0 ;;
    *) misuse "unknown option: $1" ;;
  esac
  shift
done
choose_folder "$folder"

# cancel_all: as a cluster does, so that jobs can end in their own way
cancel_all() {
  local _
  timeout 20 squeue -h -r -o %A 2>/dev/null | sort -u | xargs -r timeout 20 scancel 2>/dev/null || true
  # a job whose node has no daemon any more would never end
  runs slurmd n1 && runs slurmd n2 || return 0
  for _ in $(seq 100); do
    [ -n "$(timeout 5 squeue -h 2>/dev/null)" ] || return 0
    sleep 0.1
  done
}

# leftovers: what is left of this cluster, by what its environment says: its daemons (a job's
# slurmstepd outlives a killed slurmd), processes of its jobs, and all that these have started
leftovers() {
  local found parents pid parent more=yes
  found=" $({
    grep -lszxF "RLAVR_CLUSTER_DAEMON=$DIR" /proc/[0-9]*/environ
    grep -lszxF "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ | xargs -r grep -lszx 'SLURMD_NODENAME=n[12]'
  } | cut -d/ -f3 | sort -u | tr '\n' ' ' || true) "
  [ -n "${found// /}" ] || return 0
  parents=$(awk '/^Pid:/ {pid = $2} /^PPid:/ {print pid, $2}' /proc/[0-9]*/status 2>/dev/null) || true
  while [ $more = yes ]; do
    more=no
    while read -r pid parent; do
      case $found in
        *" $pid "*) ;;
        *" $parent "*) found+="$pid " && more=yes ;;
      esac
    done <<<"$parents"
  done
  echo "$found"
}

# end_leftovers: until nothing is left, within ten seconds
end_leftovers() {
  local pids _
  for _ in $(seq 100); do
    pids=$(leftovers)
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086  # a list of numbers
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  die "these processes of $DIR do not end: $pids"
}

if [ -e "$DIR/$MARK" ]; then
  [ -O "$DIR" ] || [ "$(id -u)" = 0 ] || die "the cluster in $DIR is $(stat -c %U "$DIR")'s; bring it down as that user"
  lock || { say "nothing is up in $DIR any more" && exit 0; }
  ! runs slurmctld || cancel_all
  stop slurmd 10
  stop slurmctld 20
  stop slurmdbd 20
  stop mariadbd 30
  stop munged 10
  end_leftovers
  rm -rf "$DIR"
  say "down"
else
  end_leftovers
  say "nothing is up in $DIR"
fi
