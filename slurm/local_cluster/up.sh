#!/usr/bin/env bash
# Starts a whole Slurm cluster on this machine: two virtual nodes, a partition whose jobs get preempted,
# and an urgent one that preempts them. Works as root and as an ordinary user; keeps to its own folder
# and ports. Started again, it takes over the settings given and starts what does not run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=slurm/local_cluster/common.sh
source "$here/common.sh"

usage() {
  cat <<'TEXT'
usage: up.sh [--dir DIR] [--install] [--signal TERM|USR2] [--grace SECONDS] [--accounting]

  --dir DIR         everything of this cluster lives there (default: $RLAVR_SLURM, else ~/.cache/rlavr_hpc/slurm)
  --install         install missing Debian packages (root only)
  --signal TERM     what a job gets when its grace begins: TERM (Slurm's default),
           USR2     or the signal it asked for itself (preempt_send_user_signal)
  --grace SECONDS   GraceTime of the partition `preemptible` (default 10)
  --accounting      with slurmdbd on a MariaDB of its own, so that sacct works
TEXT
}

install=no signal=TERM grace=10 accounting=no
while [ $# -gt 0 ]; do
  case $1 in
    --dir) DIR=$2 && shift ;;
    --install) install=yes ;;
    --signal) signal=$2 && shift ;;
    --grace) grace=$2 && shift ;;
    --accounting) accounting=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
case $signal in
  TERM) parameters= ;;
  USR2) parameters=SlurmctldParameters=preempt_send_user_signal ;;
  *) usage >&2 && exit 2 ;;
esac

need_packages() {
  local missing=()
  have slurmctld || missing+=(slurmctld)
  have slurmd || missing+=(slurmd)
  have sbatch || missing+=(slurm-client)
  [ -n "$(find /usr/lib -name select_cons_tres.so -print -quit 2>/dev/null)" ] || missing+=(slurm-wlm-basic-plugins)
  have munged || missing+=(munge)
  if [ $accounting = yes ]; then
    have slurmdbd || missing+=(slurmdbd)
    have mariadbd || missing+=(mariadb-server)
    [ -n "$(find /usr/lib -name accounting_storage_mysql.so -print -quit 2>/dev/null)" ] || missing+=(slurm-wlm-mysql-plugin)
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ $install = no ] || [ "$(id -u)" != 0 ] || ! have apt-get; then
    die "missing Debian packages: ${missing[*]}; install them, or run this as root with --install"
  fi
  say "installing ${missing[*]}"
  apt-get update -qq
  # the packages must not start daemons of their own
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

need_packages
mkdir -p "$DIR/state" "$DIR/spool/n1" "$DIR/spool/n2"
chmod 755 "$DIR"
# two starts at once: the second waits for the first
exec 9>"$DIR/.lock"
flock 9

[ -s "$DIR/port" ] || free_ports >"$DIR/port"
port=$(cat "$DIR/port")
memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
cpus=$(nproc)
storage=accounting_storage/none
[ $accounting = no ] || storage="accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\nAccountingStoragePort=$((port + 3))"
# `n` with a percent sign is Slurm's own placeholder for the node
sed -e "s|%DIR%|$DIR|g" -e "s|%HOST%|$(hostname -s)|g" -e "s|%USER%|$(id -un)|g" \
  -e "s|%PORT_CONTROL%|$port|g" -e "s|%PORT_NODE1%|$((port + 1))|g" -e "s|%PORT_NODE2%|$((port + 2))|g" \
  -e "s|%CPUS%|$cpus|g" -e "s|%MEMORY%|$memory|g" -e "s|%MEMORY_CPU%|$((memory / cpus / 2))|g" \
  -e "s|%SIGNAL%|$parameters|g" -e "s|%GRACE%|$grace|g" -e "s|%ACCOUNTING%|$storage|g" \
  "$here/slurm.conf.template" >"$DIR/slurm.conf.new"
mv "$DIR/slurm.conf.new" "$DIR/slurm.conf"
export SLURM_CONF="$DIR/slurm.conf"

if ! munge -S "$DIR/munge.socket" -n >/dev/null 2>&1; then
  [ -f "$DIR/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom >"$DIR/munge.key")
  # --force: as root, and in a folder that munged would find too open
  munged --force --key-file="$DIR/munge.key" --socket="$DIR/munge.socket" --pid-file="$DIR/munged.pid" \
    --log-file="$DIR/munged.log" --seed-file="$DIR/munged.seed" --num-threads=2 9>&- 2>>"$DIR/munged.log" ||
    die "munged does not start; see $DIR/munged.log"
fi
if runs slurmctld.pid slurmctld; then
  scontrol reconfigure
else
  slurmctld -f "$SLURM_CONF" 9>&- || die "slurmctld does not start; see $DIR/slurmctld.log"
fi
for node in n1 n2; do
  runs "slurmd-$node.pid" slurmd || slurmd -N $node -f "$SLURM_CONF" 9>&- || die "slurmd does not start; see $DIR/slurmd-$node.log"
done
wait_until_idle || die "the nodes do not come up; see $DIR/slurmctld.log and $DIR/slurmd-n1.log"
say "a Slurm cluster of two nodes is up in $DIR"
echo "export SLURM_CONF=$SLURM_CONF"
