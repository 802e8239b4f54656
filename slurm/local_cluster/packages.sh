# Which Debian packages are missing, and their installation. Sourced by up.sh.
# shellcheck shell=bash disable=SC2154  # up.sh sets install and accounting

# has_plugin FILE: one of Slurm's plugins
has_plugin() { [ -n "$(find /usr/lib /usr/lib64 -path "*slurm*/$1" -print -quit 2>/dev/null)" ]; }

# missing_packages: names on one line
missing_packages() {
  local missing=()
  command -v slurmctld >/dev/null || missing+=(slurmctld)
  command -v slurmd >/dev/null || missing+=(slurmd)
  command -v sbatch >/dev/null || missing+=(slurm-client)
  has_plugin select_cons_tres.so || missing+=(slurm-wlm-basic-plugins)
  command -v munged >/dev/null || missing+=(munge)
  if [ "$accounting" = yes ]; then
    command -v slurmdbd >/dev/null || missing+=(slurmdbd)
    command -v mariadbd >/dev/null || missing+=(mariadb-server)
    has_plugin accounting_storage_mysql.so || missing+=(slurm-wlm-mysql-plugin)
  fi
  echo "${missing[*]}"
}

# need_packages: all that is needed is here; installs it with --install
need_packages() {
  local missing
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$install" = no ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "missing Debian packages: $missing; install them (apt-get install), or run this as root with --install"
  fi
  (install_packages)
  missing=$(missing_packages)
  [ -z "$missing" ] || die "still missing after their installation: $missing"
}

# install_packages: in a subshell, since its trap is for the installation alone
install_packages() {
  local missing
  # two at once: the second finds installed what the first has installed
  exec 7</var/lib/dpkg
  flock -w 900 7 || die "another installation has gone on for 15 minutes"
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  say "installing $missing"
  trap allow_daemons EXIT
  forbid_daemons
  apt-get -qq -o DPkg::Lock::Timeout=600 update >/dev/null || say "apt-get update failed; trying with the lists that are here"
  # shellcheck disable=SC2086  # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing 7<&- >/dev/null ||
    die "apt-get could not install $missing"
}

# The packages would start daemons with Debian's settings; policy-rc.d is what forbids it.
POLICY=/usr/sbin/policy-rc.d
OURS="# rlavr_hpc: while packages of a local cluster are installed"

forbid_daemons() {
  # ours may be there from an installation that was killed
  grep -qsxF "$OURS" "$POLICY" || [ ! -e "$POLICY" ] || mv "$POLICY" "$POLICY.rlavr_hpc"
  printf '#!/bin/sh\n%s\nexit 101\n' "$OURS" >"$POLICY"
  chmod 755 "$POLICY"
}

allow_daemons() {
  ! grep -qsxF "$OURS" "$POLICY" || rm -f "$POLICY"
  [ ! -e "$POLICY.rlavr_hpc" ] || mv "$POLICY.rlavr_hpc" "$POLICY"
}
