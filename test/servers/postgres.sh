#!/usr/bin/env bash
# PostgreSQL 15 without flushing, for tests: user `holdfast` without a password, database `holdfast`. It will not run as
# root; then it runs as nobody. Can be run again in its folder. With PGTEST_PRIMARY, the port of another that runs, it is a
# standby of that.
. "$(dirname "$0")/lib.sh"
case ":$PATH:" in *:/usr/bin:*)
  for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
  ;;
esac
need initdb postgres
enter "$1"
as=()
if [ "$(id -u)" = 0 ]; then
  need setpriv
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  # Its folder may lie in one that is closed to others.
  mkdir -p data
  chown 65534:65534 . data
  chmod 700 data
fi
if [ ! -e data/PG_VERSION ] && [ -n "${PGTEST_PRIMARY:-}" ]; then
  need pg_basebackup
  HOME=$DIR "${as[@]}" "$(command -v pg_basebackup)" -D data -R -c fast --no-sync -h 127.0.0.1 -p "$PGTEST_PRIMARY" \
    -U holdfast >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
elif [ ! -e data/PG_VERSION ]; then
  HOME=$DIR "${as[@]}" "$(command -v initdb)" -D data -U holdfast -A trust -E UTF8 --locale=C --no-sync >initdb.log 2>&1 \
    || { cat initdb.log >&2; exit 1; }
  cat >>data/postgresql.conf <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
max_prepared_transactions = 0
fsync = ${PGTEST_FSYNC:-off}
full_page_writes = ${PGTEST_FSYNC:-off}
jit = off
log_min_messages = warning
CONF
fi
# After a kill its children take a moment to notice, and hold its memory until then.
for _ in $(seq 40); do
  start postgres "${as[@]}" "$(command -v postgres)" -D "$DIR/data" -p "$2"
  sleep 0.2
  kill -0 "$(cat postgres.pid)" 2>/dev/null && break
done
await_port "$2" postgres
