# One call in a pod that serves: main.sh starts it with JOB WORK SHELL NUMBER.

calls=$1/calls call=$4
: >"$calls/$call.started"
(
    cd "$2" || exit 126
    set -- "$1" "$3" "$calls/$call.line"
    . "$1/env.sh"
    unset ferry_ranks
    shift
    ferry_exec "$@"
) >"$calls/$call.out" 2>"$calls/$call.err" </dev/null &
pid=$!
printf '%s\n' "$pid" >"$1/run/pid.call-$call"
(read -r _ <"$calls/$call.kill" && kill -TERM "$pid") 2>/dev/null &
watcher=$!
wait "$pid"
code=$?
kill "$watcher" 2>/dev/null
printf '%s\n' "$code" >"$calls/$call.code"
