#!/usr/bin/env bash
# Starts a whole Slurm cluster on this machine: two virtual nodes, a partition whose jobs get preempted,
# and an urgent one that preempts them. Works as root and as an ordinary user; keeps to its own folder
# and ports. Started again, it takes over the settings given and starts what does not run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=slurm/local_cluster/common.sh
source "$here/common.sh"
# shellcheck source=slurm/local_cluster/packages.sh
source "$here/packages.sh"
# shellcheck source=slurm/local_cluster/accounting.sh
source "$here/accounting.sh"

usage() {
  cat <<'TEXT'
usage: up.sh [--dir DIR] [--install] [--signal TERM|USR2] [--grace SECONDS] [--accounting]

  --dir DIR         everything of this cluster lives there (default: $RLAVR_SLURM, else ~/.cache/rlavr_hpc/slurm)
  --install         install missing Debian packages (root only)
  --signal TERM     what a job gets when its grace begins: TERM (Slurm's default),
           USR2     or the signal it asked for itself (preempt_send_user_signal)
  --grace SECONDS   GraceTime of the partition `preemptible` (at first 10)
  --accounting      with slurmdbd on a MariaDB of its own, so that sacct works

Settings that are not given stay as they are. Use it: eval "$(up.sh)"; squeue
TEXT
}

folder='' install=no signal='' grace='' accounting=''
while [ $# -gt 0 ]; do
  case $1 in
    --dir | --signal | --grace) [ -n "${2:-}" ] || misuse "$1 needs a value" ;;&
    --dir) folder=$2 && shift ;;
    --signal) signal=$2 && shift ;;
    --grace) grace=$2 && shift ;;
    --install) install=yes ;;
    --accounting) accounting=yes ;;
    -h | --help) usage && exit 0 ;;
    *) misuse "unknown option: $1" ;;
  esac
  shift
done
case $signal in
  TERM | USR2 | '') ;;
  *) misuse "--signal $signal: TERM or USR2" ;;
esac
case $grace in
  *[!0-9]* | ??????*) misuse "--grace $grace: a number of seconds, below 100000" ;;
esac
choose_folder "$folder"
# Unix sockets: 107 characters, of which DIR/spool/n1/n1_JOB.STEP needs 32
[ ${#DIR} -le 75 ] || die "$DIR has ${#DIR} characters, and sockets in it would get names that are too long; choose a --dir of at most 75"

# make_folder: with its lock held; refuses what somebody else put there
make_folder() {
  local _
  for _ in 1 2 3 4 5; do
    if [ ! -e "$DIR/$MARK" ]; then
      mkdir -p "$DIR" || die "cannot make $DIR; choose another --dir"
      [ -z "$(ls -A "$DIR")" ] || [ -e "$DIR/$MARK" ] || die "$DIR holds something else already; choose an empty --dir"
      : >"$DIR/$MARK" || die "cannot write into $DIR; choose another --dir"
    fi
    [ -O "$DIR/$MARK" ] || die "the cluster in $DIR is $(stat -c %U "$DIR")'s; choose another --dir"
    lock || continue
    mkdir -p "$DIR/state" "$DIR/spool/n1" "$DIR/spool/n2"
    chmod 755 "$DIR"
    return
  done
  die "$DIR is removed again and again; is a down.sh at work?"
}

# setting NAME VALUE DEFAULT: the value given, else the one of last time, else the default
setting() {
  local before=
  [ ! -e "$DIR/settings" ] || before=$(sed -n "s/^$1=//p" "$DIR/settings")
  [ -n "$2" ] && echo "$2" || echo "${before:-$3}"
}

# choose_port: sets port, the first of ten free ones in a row. Whoever chooses holds a lock of the
# whole machine until its daemons listen: two clusters that start at once must not choose the same.
choose_port() {
  local base used
  [ ! -s "$DIR/port" ] || { port=$(cat "$DIR/port") && return; }
  exec 8<"$(command -v slurmctld)"
  flock -w 180 8 || die "another cluster has been starting for three minutes"
  used=$(awk 'FNR > 1 {split($2, a, ":"); print a[2]}' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    sort -u | while read -r hex; do echo "$((16#$hex))"; done)
  for base in $(seq 16810 10 19990); do
    if ! grep -qE "^$((base / 10))[0-9]$" <<<"$used"; then
      port=$base
      echo "$port" >"$DIR/port"
      return
    fi
  done
  die "no ten free ports between 16810 and 20000"
}

# write_conf: sets changed to no, yes, or restart (what a running slurmctld does not take over)
write_conf() {
  local memory cpus parameters=PreemptParameters=send_user_signal cgroups=disabled storage=accounting_storage/none old new
  memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  cpus=$(nproc)
  case $(slurmctld -V) in
    "slurm"*" "2[0-2].*)
      parameters=SlurmctldParameters=preempt_send_user_signal
      # knows no "disabled", but this one touches nothing before a plugin asks it to
      cgroups=cgroup/v1
      ;;
  esac
  [ "$signal" = USR2 ] || parameters=
  # without it slurmd wants a cgroup file system that it may write to
  echo "CgroupPlugin=$cgroups" >"$DIR/cgroup.conf"
  [ "$accounting" = no ] || storage="accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\nAccountingStoragePort=$((port + 3))\nAccountingStoragePass=$DIR/munge.socket"
  # `n` with a percent sign is Slurm's own placeholder for the node
  sed -e "s|%DIR%|$DIR|g" -e "s|%HOST%|$(uname -n | cut -d. -f1)|g" -e "s|%USER%|$(id -un)|g" \
    -e "s|%PORT_CONTROL%|$port|g" -e "s|%PORT_NODE1%|$((port + 1))|g" -e "s|%PORT_NODE2%|$((port + 2))|g" \
    -e "s|%CPUS%|$cpus|g" -e "s|%MEMORY%|$memory|g" -e "s|%MEMORY_CPU%|$((memory / cpus / 2))|g" \
    -e "s|%SIGNAL%|$parameters|g" -e "s|%GRACE%|$grace|g" -e "s|%ACCOUNTING%|$storage|g" \
    "$here/slurm.conf.template" >"$SLURM_CONF.new"
  old=$(grep -s ^AccountingStorageType= "$SLURM_CONF") || true
  new=$(grep ^AccountingStorageType= "$SLURM_CONF.new")
  changed=yes
  [ "$old" = "$new" ] || changed=restart
  ! cmp -s "$SLURM_CONF" "$SLURM_CONF.new" || changed=no
  mv "$SLURM_CONF.new" "$SLURM_CONF"
  printf 'signal=%s\ngrace=%s\naccounting=%s\n' "$signal" "$grace" "$accounting" >"$DIR/settings"
}

# fails PROGRAM LOG: ends with the last error in the log
fails() {
  grep -aE 'fatal|error|ERROR' "$2" 2>/dev/null | tail -1 >&2 || true
  die "$1 does not start; see $2 (after down.sh, up.sh begins afresh and with other ports)"
}

# answers PROGRAM LOG COMMAND...: waits until the command succeeds, for two minutes while the program runs
answers() {
  local program=$1 log=$2 deadline=$((SECONDS + 120))
  shift 2
  while [ $SECONDS -lt $deadline ]; do
    ! timeout 20 "$@" >/dev/null 2>&1 || return 0
    runs "$program" || break
    sleep 0.2
  done
  fails "$program" "$log"
}

start_munged() {
  local log=$DIR/munged.log
  ! munge -S "$DIR/munge.socket" -n >/dev/null 2>&1 || return 0
  [ -s "$DIR/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom >"$DIR/munge.key")
  # --force: as root, and in a folder that munged would find too open
  daemon "$log" munged --force --key-file="$DIR/munge.key" --socket="$DIR/munge.socket" \
    --pid-file="$DIR/munged.pid" --log-file="$log" --seed-file="$DIR/munged.seed" --num-threads=2 ||
    fails munged "$log"
  answers munged "$log" munge -S "$DIR/munge.socket" -n
}

start_control() {
  local log=$DIR/slurmctld.log
  if runs slurmctld; then
    case $changed in
      no) ;;
      yes) timeout 60 scontrol reconfigure || die "slurmctld does not take over the settings; see $log" ;;
      restart) stop slurmctld 20 ;;
    esac
  fi
  runs slurmctld || daemon "$log" slurmctld -f "$SLURM_CONF" || fails slurmctld "$log"
  answers slurmctld "$log" bash -c 'scontrol ping | grep -q "is UP"'
}

start_nodes() {
  local node
  for node in n1 n2; do
    runs slurmd $node || daemon "$DIR/slurmd-$node.log" slurmd -N $node -f "$SLURM_CONF" ||
      fails slurmd "$DIR/slurmd-$node.log"
  done
}

# listens PORT: whether somebody does on this machine
listens() { grep -qiE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") [0-9A-F:]+ 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null; }

# node_is_up NODE: takes work; one that was taken out is put back
node_is_up() {
  local state
  state=$(timeout 20 sinfo -h -N -n "$1" -p urgent -o %T 2>/dev/null) || return 1
  case $state in
    *down* | *drain* | *fail*) timeout 20 scontrol update NodeName="$1" State=RESUME >/dev/null 2>&1 || true ;;
    # a star: has not answered yet
    '' | *unk* | *'*') ;;
    *) return 0 ;;
  esac
  return 1
}

wait_for_nodes() {
  local node deadline=$((SECONDS + 120))
  for node in 1 2; do
    until listens $((port + node)) && node_is_up n$node; do
      runs slurmd n$node && [ $SECONDS -lt $deadline ] || fails slurmd "$DIR/slurmd-n$node.log"
      sleep 0.2
    done
  done
}

# before anything is touched
need_packages
make_folder
signal=$(setting signal "$signal" TERM)
grace=$(setting grace "$grace" 10)
accounting=$(setting accounting "$accounting" no)
# once more: the accounting of last time needs some, too
need_packages
choose_port
write_conf
start_munged
[ "$accounting" = no ] || start_accounting
start_control
start_nodes
wait_for_nodes
say "a Slurm cluster of two nodes is up in $DIR"
echo "export SLURM_CONF=$SLURM_CONF"
