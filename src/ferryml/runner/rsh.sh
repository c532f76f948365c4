#!/bin/sh
# Called like ssh by mpirun: [options] HOST WORDS... The words are a line for a shell in HOST's pod. `collect` beside
# this container carries it there and the answers back through pipes in $calls.

calls=@calls@
umask 0002
while [ $# -gt 0 ]; do
    case $1 in
    -[bcDEeFIiJLlmOopQRSWw]) shift 2 ;;
    -*) shift ;;
    *) break ;;
    esac
done
[ $# -gt 1 ] || { echo "usage: ferry-rsh [options] HOST COMMAND..." >&2 && exit 255; }
host=$1 me=$$
shift
printf '%s\n' "$*" >"$calls/$me.line"
printf '%s %s\n' "$me" "$host" >"$calls/asks"
count=600
while [ ! -p "$calls/$me.code" ]; do
    count=$((count - 1))
    [ "$count" -gt 0 ] || { echo "ferry-rsh: collect does not answer" >&2 && exit 255; }
    sleep 0.1 2>/dev/null || sleep 1
done
exec 9>"$calls/$me.alive" # its end tells that this process has ended
cat <"$calls/$me.err" 9>&- >&2 &
cat <"$calls/$me.out" 9>&-
wait
read -r code <"$calls/$me.code"
exit "${code:-255}"
