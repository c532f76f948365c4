#!/bin/sh
# Runs the user's program in the user's own image. Only a POSIX shell is needed; every other program is a bonus.
# Files below $job are the language between this and `collect`, which sees the same folder from another container:
# from here `started`, `usage` and `exit` ("CODE WHY", complete when its line has ended), from there `collected`.

job=${FERRY_JOB:-/ferry/job}
umask 0002
. "$job/settings.sh" # ranks first_rank role grace timeout patience work home, share()
run=$job/run

have() { command -v "$1" >/dev/null 2>&1; }

# WHY: the first one who says why it ends is right.
claim() { (set -C && printf '%s\n' "$1" >"$run/why") 2>/dev/null; }

# SIGNAL: to everything in this container; outside of one, to what was started here.
signal() {
    if [ "$$" -eq 1 ]; then
        kill "-$1" -1 2>/dev/null
        return
    fi
    for file in "$run"/pid.*; do
        [ -f "$file" ] && read -r pid <"$file" && { kill "-$1" "-$pid" || kill "-$1" "$pid"; } 2>/dev/null
    done
}

stop_all() {
    signal TERM
    (
        trap '' TERM
        sleep "$grace" &
        printf '%s\n' "$!" >"$run/nap"
        wait
        [ -f "$job/exit" ] || signal KILL
    ) >/dev/null 2>&1 &
    printf '%s\n' "$!" >"$run/timer"
}

# PID: its exit code in $code, however often a signal interrupts the wait.
settle() {
    while :; do
        wait "$1"
        code=$?
        kill -0 "$1" 2>/dev/null || break
    done
    if [ "$code" -gt 128 ]; then
        wait "$1"
        again=$?
        case $again in 127 | -*) ;; *) code=$again ;; esac # not known any more; bash says -1 at times
    fi
}

log_of() {
    if [ "$1" -eq 0 ]; then log=$job/user_logs/std_log.txt; else log=$job/user_logs/std_log_process_$1.txt; fi
}

# LOCAL SHELL FILE: one process of the program, and what is to happen when it ends badly.
rank() {
    trap : TERM INT
    log_of $((first_rank + $1))
    (
        cd "$work" || exit 126
        set -- $((first_rank + $1)) "$1" "$2" "$3" # names of our own would meet the user's variables
        . "$job/env.sh"
        if [ "$ferry_ranks" -gt 1 ]; then
            RANK=$1 LOCAL_RANK=$2
            export RANK LOCAL_RANK
        fi
        unset ferry_ranks
        shift 2
        ferry_exec "$@"
    ) >>"$log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$run/pid.$1"
    settle "$!"
    if [ "$code" -ne 0 ] && claim "rank $code $((first_rank + $1))" && [ "$ranks" -gt 1 ]; then stop_all; fi
    exit "$code"
}

# What still runs of the program, in $left.
look() {
    left= nap= timer=
    [ -f "$run/nap" ] && read -r nap <"$run/nap"
    [ -f "$run/timer" ] && read -r timer <"$run/timer"
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        case $pid in 1 | "$tail" | "$nap" | "$timer") continue ;; esac
        { read -r stat <"$entry/stat"; } 2>/dev/null || continue
        case $stat in *') Z '*) ;; *) left="$left $pid" ;; esac
    done
    [ -n "$left" ]
}

# PATIENCE: whatever is left of it would change files while they are collected; asked to end, it may take its time.
sweep() {
    count=$(($1 * 10)) try=0
    while look && [ "$try" -lt 20 ]; do
        if [ "$count" -gt 0 ]; then
            count=$((count - 1))
        else
            for pid in $left; do kill -KILL "$pid" 2>/dev/null; done
            try=$((try + 1))
        fi
        sleep 0.1 2>/dev/null || sleep 1 2>/dev/null
    done
}

# FILE KEY: one figure of the kernel's; without KEY the file's only one.
figure() {
    [ -r "$1" ] || return 1
    while read -r key value; do
        case $2 in
        '') value=$key && break ;;
        "$key") break ;;
        esac
        value=
    done <"$1"
    [ -n "$value" ]
}

memory_kills() {
    figure /sys/fs/cgroup/memory.events oom_kill || figure /sys/fs/cgroup/memory/memory.oom_control oom_kill || value=0
}

usage() {
    if figure /sys/fs/cgroup/memory.peak '' || figure /sys/fs/cgroup/memory/memory.max_usage_in_bytes ''; then
        printf 'memory_peak_bytes %s\n' "$value"
    fi
    figure /sys/fs/cgroup/cpu.stat usage_usec && printf 'cpu_usec %s\n' "$value"
    figure /sys/fs/cgroup/cpuacct/cpuacct.usage '' && printf 'cpu_nsec %s\n' "$value"
}

wait_for_collect() {
    trap : TERM INT
    step=0.2 count=$((patience * 5))
    sleep "$step" 2>/dev/null || { step=1 count=$patience; }
    while [ ! -f "$job/collected" ] && [ "$count" -gt 0 ]; do
        # Without `sleep`, `collect` opens this gate when it is done.
        sleep "$step" 2>/dev/null || [ -f "$job/collected" ] || read -r _ <"$job/gate"
        count=$((count - 1))
    done
}

# Pod of an MPI job that is not the first: does what the first one asks for, until that one is done.
serve() {
    reader=
    trap 'kill "$reader" 2>/dev/null' TERM INT
    while [ ! -f "$run/why" ] && [ ! -f "$job/calls/over" ]; do
        : >"$run/next"
        { read -r call <"$job/calls/door" && printf '%s\n' "$call" >"$run/next"; } 2>/dev/null &
        reader=$!
        settle "$reader"
        read -r call <"$run/next" || call=
        case $call in
        '' | *[!0-9]*) ;;
        *) "$shell" "$job/calls/$call.sh" "$job" "$work" "$shell" "$call" & ;;
        esac
    done
    code=0
    [ -f "$job/calls/over" ] && read -r code <"$job/calls/over"
    exit "$code"
}

{ [ -n "$HOME" ] && [ -w "$HOME" ]; } || { HOME=$home && export HOME; }
[ -w "${TMPDIR:-/tmp}" ] || { TMPDIR=$home/tmp && export TMPDIR; }
[ -n "$USER" ] || { USER=ferry && export USER; }
shell=/bin/bash
[ -x "$shell" ] || shell=$(command -v bash) || shell=/bin/sh

log_of "$first_rank"
tail=
if have tail && : >>"$log"; then
    (
        trap '' TERM INT
        exec tail -n +1 -f "$log"
    ) &
    tail=$!
fi
memory_kills
before=$value
trap 'claim term; stop_all' TERM INT
timer=
if [ -n "$timeout" ]; then
    (
        sleep "$timeout" 2>/dev/null && claim timeout && stop_all
    ) >/dev/null &
    timer=$!
fi

pids= number=0
if [ "$role" = worker ]; then
    (serve) &
    pids=$!
    printf '%s\n' "$!" >"$run/pid.serve"
else
    while [ "$number" -lt "$ranks" ]; do
        (rank "$number" "$shell" "$job/command.sh") &
        pids="$pids $!"
        number=$((number + 1))
    done
fi
printf '%s\n' "$$" >"$job/started"
result=0
for pid in $pids; do
    settle "$pid"
    [ "$result" -ne 0 ] || result=$code
done

trap : TERM INT
[ -z "$timer" ] || kill "$timer" 2>/dev/null
why=
[ -f "$run/why" ] && read -r why <"$run/why"
case $why in
'rank '*)
    why=${why#rank }
    result=${why%% *}
    why="rank ${why#* }"
    ;;
esac
memory_kills
[ "$result" -eq 0 ] || [ "$value" -le "$before" ] || case $why in '' | rank*) why=oom ;; esac
case $why in term | timeout) mercy=$grace ;; *) mercy=0 ;; esac
[ "$$" -ne 1 ] || sweep "$mercy"
share 2>/dev/null
usage >"$job/usage" 2>/dev/null
printf '%s %s\n' "$result" "$why" >"$job/exit"
[ ! -w /dev/termination-log ] || printf '%s %s\n' "$result" "$why" >/dev/termination-log
wait_for_collect
[ -z "$tail" ] || kill -KILL "$tail" 2>/dev/null
exit "$result"
