# slurmdbd on a MariaDB of its own, which sacct needs. Sourced by up.sh.
# shellcheck shell=bash disable=SC2154  # up.sh sets port

start_accounting() {
  start_database
  start_slurmdbd
}

# sql COMMAND ARGUMENT...: as the user who owns the database, whom its socket knows
sql() { "$1" --no-defaults --socket="$DIR/mariadb.socket" --user="$(id -un)" "${@:2}"; }

start_database() {
  local log=$DIR/mariadbd.log me password
  me=$(id -un)
  if ! runs mariadbd; then
    if [ ! -d "$DIR/database" ]; then
      rm -rf "$DIR/database.new"
      mariadb-install-db --no-defaults --user="$me" --datadir="$DIR/database.new" --skip-test-db --force \
        --auth-root-socket-user="$me" >>"$log" 2>&1 || fails mariadb-install-db "$log"
      mv "$DIR/database.new" "$DIR/database"
    fi
    # small, but for the lock wait that slurmdbd asks for
    daemon "$log" setsid -f mariadbd --no-defaults --user="$me" --datadir="$DIR/database" \
      --socket="$DIR/mariadb.socket" --port="$((port + 4))" --bind-address=127.0.0.1 --skip-name-resolve \
      --pid-file="$DIR/mariadbd.pid" --log-error="$log" --tmpdir="$DIR/database" \
      --innodb-lock-wait-timeout=900 --innodb-buffer-pool-size=64M --innodb-log-file-size=16M ||
      fails mariadbd "$log"
  fi
  answers mariadbd "$log" mariadb-admin --no-defaults --socket="$DIR/mariadb.socket" --user="$me" ping
  if [ ! -s "$DIR/slurmdbd.conf" ]; then
    password=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
    sql mariadb <<SQL || fails mariadbd "$log"
CREATE DATABASE IF NOT EXISTS slurm;
CREATE OR REPLACE USER 'slurm'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON slurm.* TO 'slurm'@'127.0.0.1';
SQL
    write_slurmdbd_conf "$me" "$password"
  fi
}

# write_slurmdbd_conf USER PASSWORD: the only file with the password, readable by its owner alone
write_slurmdbd_conf() {
  (
    umask 077
    cat >"$DIR/slurmdbd.conf.new" <<CONF
AuthType=auth/munge
AuthInfo=socket=$DIR/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((port + 3))
SlurmUser=$1
PidFile=$DIR/slurmdbd.pid
LogFile=$DIR/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 4))
StorageUser=slurm
StoragePass=$2
StorageLoc=slurm
CONF
  )
  mv "$DIR/slurmdbd.conf.new" "$DIR/slurmdbd.conf"
}

start_slurmdbd() {
  local log=$DIR/slurmdbd.log
  # it finds its settings beside SLURM_CONF
  runs slurmdbd || daemon "$log" slurmdbd || fails slurmdbd "$log"
  # it answers a little before it takes clusters, so this is tried again, too
  answers slurmdbd "$log" bash -c \
    'sacctmgr -i -Q add cluster rlavr; sacctmgr -n show cluster rlavr format=cluster | grep -q rlavr'
}
