# What up.sh and down.sh share. Sourced, not run.
# shellcheck shell=bash
DIR=${RLAVR_SLURM:-$HOME/.cache/rlavr_hpc/slurm}

say() { echo "local cluster: $*" >&2; }
die() { say "$*" && exit 1; }
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
PATH=$PATH:/usr/sbin:/sbin

# runs PIDFILE PROGRAM: whether the process of this cluster's pid file is alive and is that program
runs() {
  local pid
  pid=$(cat "$DIR/$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

# free_ports: the first of ten free ports in a row
free_ports() {
  local base used
  used=$(awk 'FNR > 1 {split($2, a, ":"); print a[2]}' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    while read -r hex; do echo "$((16#$hex))"; done)
  for base in $(seq 16810 10 19990); do
    if ! grep -qE "^$((base / 10))[0-9]$" <<<"$used"; then
      echo "$base"
      return
    fi
  done
  die "no ten free ports between 16810 and 20000"
}

# wait_until_idle: both nodes answer, within 30 seconds
wait_until_idle() {
  local _
  for _ in $(seq 300); do
    [ "$(sinfo -h -N -p urgent -o '%T' 2>/dev/null | grep -cE '^(idle|mixed|allocated|completing)$')" = 2 ] && return 0
    sleep 0.1
  done
  return 1
}
