#!/usr/bin/env bash
# Ends the cluster that up.sh started, with its jobs, and removes its folder; nobody else's daemons.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=slurm/local_cluster/common.sh
source "$here/common.sh"
case ${1:-} in
  --dir) DIR=$2 ;;
  "") ;;
  *) echo "usage: down.sh [--dir DIR]" >&2 && exit 2 ;;
esac
[ -f "$DIR/slurm.conf" ] || { say "nothing is up in $DIR" && exit 0; }
export SLURM_CONF="$DIR/slurm.conf"

# stop PIDFILE PROGRAM: by TERM, and after ten seconds by KILL
stop() {
  runs "$1" "$2" || return 0
  local pid _
  pid=$(cat "$DIR/$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do
    [ -d "/proc/$pid" ] || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

if runs slurmctld.pid slurmctld; then
  squeue -h -r -o %A 2>/dev/null | sort -u | xargs -r timeout 20 scancel 2>/dev/null || true
  for _ in $(seq 100); do
    [ -n "$(squeue -h 2>/dev/null)" ] || break
    sleep 0.1
  done
fi
stop slurmd-n1.pid slurmd
stop slurmd-n2.pid slurmd
stop slurmctld.pid slurmctld
stop slurmdbd.pid slurmdbd
stop mariadbd.pid mariadbd
stop munged.pid munged
rm -rf "$DIR"
say "down"
