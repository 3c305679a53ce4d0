#!/bin/sh
# What the official image's entrypoint does with its variables, in short: a new PGDATA is made by initdb,
# gets its password, its database and the scripts of /docker-entrypoint-initdb.d, by a server that nobody
# can reach; then the command takes this shell's place.
set -eu

[ "${1#-}" = "$1" ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA"
  chmod 0700 "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --init-groups env HOME=/var/lib/postgresql "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
password=${POSTGRES_PASSWORD:-}
method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
unset POSTGRES_PASSWORD

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "$password" ] && [ "$method" != trust ]; then
    echo "POSTGRES_PASSWORD is not set (set it, or POSTGRES_HOST_AUTH_METHOD=trust)" >&2
    exit 1
  fi
  umask 077
  pwfile=$(mktemp)
  printf '%s\n' "$password" >"$pwfile"
  # shellcheck disable=SC2086  # several options in one variable
  initdb -D "$PGDATA" --username="$user" ${password:+--pwfile="$pwfile"} ${POSTGRES_INITDB_ARGS:-}
  rm "$pwfile"
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

  pg_ctl -D "$PGDATA" -w -s -o "$(printf "'%s' " "$@" | sed "s/^'postgres' //") -c listen_addresses=" start
  run() { psql -X -q -v ON_ERROR_STOP=1 --username "$user" --no-password "$@"; }
  if [ "${POSTGRES_DB:-$user}" != postgres ]; then
    run --dbname postgres -v name="${POSTGRES_DB:-$user}" <<-'SQL'
	CREATE DATABASE :"name";
	SQL
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) . "$file" ;;
      *.sql) run --dbname "${POSTGRES_DB:-$user}" -f "$file" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -w -s -m fast stop
  echo "PostgreSQL init process complete; ready for start up."
fi

exec "$@"
