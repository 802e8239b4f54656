# What up.sh and down.sh share. Sourced, not run.
# shellcheck shell=bash
PATH=$PATH:/usr/sbin:/sbin
# Its presence says that up.sh made the folder, so that down.sh may remove it; also its lock.
MARK=.rlavr_cluster

say() { echo "local cluster: $*" >&2; }
die() { say "$*"; exit 1; }
# misuse TEXT: wrong on the command line
misuse() { say "$*"; usage >&2; exit 2; }

# choose_folder DIR: sets DIR, absolute and without symbolic links, and SLURM_CONF
choose_folder() {
  DIR=$1
  if [ -z "$DIR" ]; then
    DIR=${RLAVR_SLURM:-${HOME:+$HOME/.cache/rlavr_hpc/slurm}}
  fi
  [ -n "$DIR" ] || die "where? neither RLAVR_SLURM nor HOME is set; give --dir DIR"
  DIR=$(realpath -m -- "$DIR")
  # Slurm's own configuration knows no quotes and expands percent signs
  case $DIR in
    *[!A-Za-z0-9/._-]*) die "$DIR: Slurm takes only letters, digits and / . _ - in a path; choose another --dir" ;;
  esac
  export SLURM_CONF="$DIR/slurm.conf"
}

# lock: one up.sh or down.sh at a time in this folder; fails when it is gone, or another one by now
lock() {
  { exec 9<"$DIR/$MARK"; } 2>/dev/null || return 1
  flock -w 180 9 || die "another up.sh or down.sh has been at work in $DIR for three minutes"
  [ "$DIR/$MARK" -ef /proc/self/fd/9 ]
}

# daemon LOG PROGRAM ARGUMENT...: a program that goes into the background, marked as this cluster's
daemon() {
  local log=$1
  shift
  env RLAVR_CLUSTER_DAEMON="$DIR" "$@" </dev/null >>"$log" 2>&1 8<&- 9<&-
}

# pids PROGRAM [ARGUMENT]: this cluster's processes of that program, by the mark in their environment.
# No pid file says it better: it may be stale, and its number another cluster's by now.
pids() {
  local environ
  { grep -lszxF "RLAVR_CLUSTER_DAEMON=$DIR" /proc/[0-9]*/environ || true; } | while read -r environ; do
    [ "$(cat "${environ%environ}comm" 2>/dev/null)" = "$1" ] || continue
    [ $# = 1 ] || grep -qszxF "$2" "${environ%environ}cmdline" || continue
    basename "${environ%/environ}"
  done
}

runs() { [ -n "$(pids "$@")" ]; }

# stop PROGRAM SECONDS: by TERM, later by KILL
stop() {
  local _
  pids "$1" | xargs -r kill 2>/dev/null || true
  for _ in $(seq $(($2 * 10))); do
    runs "$1" || return 0
    sleep 0.1
  done
  pids "$1" | xargs -r kill -9 2>/dev/null || true
}
