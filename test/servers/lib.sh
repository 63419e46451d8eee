# Sourced by the scripts beside it. Each is called as: NAME.sh DIR PORT. It keeps all state in DIR, starts plain
# processes on 127.0.0.1, leaves their ids in DIR/*.pid, and returns once the server takes connections.
# Exit code 77: something it needs is not installed.
set -eu

# Servers lie where the PATH of ordinary users does not lead. A PATH made by hand is taken at its word, so that a folder
# of links can hide what is installed.
with_sbin() {
  case ":$PATH:" in *:/usr/bin:*) PATH=$PATH:/usr/sbin:/sbin ;; esac
}

need() {
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 77; }
  done
}

enter() { # DIR
  mkdir -p "$1"
  cd "$1"
  DIR=$PWD
}

start() { # NAME COMMAND...
  name=$1
  shift
  setsid "$@" >"$name.log" 2>&1 </dev/null &
  echo $! >"$name.pid"
}

await_port() { # PORT NAME
  for _ in $(seq 120); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
    sleep 0.25
  done
  echo "$2 did not start: see $DIR" >&2
  tail -n 20 "$DIR"/*.log >&2
  exit 1
}
