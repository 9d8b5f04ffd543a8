#!/bin/sh
# A supervisor joins a call, with nothing but curl: connect, look at the legs, listen, whisper, barge, listen, hang up.
#
#   EARSHOT_KEY=acme-key EARSHOT_TOKEN=change-this-token-1 examples/curl/monitor.sh client:priya client:ravi client:boss
#
# The arguments are From, To and the supervisor. Also from the environment: EARSHOT_URL (default http://127.0.0.1:8080),
# EARSHOT_ACCOUNT (default acme), PAUSE (seconds in each mode, default 3). Ends with 0 when every request was answered 200
# and the call was completed.
set -eu

from=${1:-client:priya} to=${2:-client:ravi} supervisor=${3:-client:boss}
calls=${EARSHOT_URL:-http://127.0.0.1:8080}/v1/Accounts/${EARSHOT_ACCOUNT:-acme}/Calls

# METHOD PATH [curl's options]: prints the JSON; an answer that is no success ends the script with what it said.
# --data-urlencode, since a bare + in a form is a blank.
request() {
	method=$1 path=$2
	shift 2
	answer=$(curl -sS -w '\n%{http_code}' -u "$EARSHOT_KEY:$EARSHOT_TOKEN" -X "$method" "$@" "$calls$path")
	printf '%s\n' "$answer" | sed '$d'
	[ "$(printf '%s\n' "$answer" | tail -n 1)" = 200 ] || { printf '%s %s: %s\n' "$method" "$path" "$answer" >&2; return 1; }
}
# The first value of a key in JSON on one line.
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# In two steps each, since a failure inside of a pipe would go unnoticed.
created=$(request POST /connect.json --data-urlencode "From=$from" --data-urlencode "To=$to")
call=$(echo "$created" | field Sid)
echo "call $call: ringing $from, then $to"

# To is dialled when From has picked up.
tries=0 legs=
until case $legs in *'"Origin":"outbound-dial"'*) ;; *) false ;; esac; do
	[ $tries -lt 60 ] || { echo "$from did not pick up" >&2; exit 1; }
	[ $tries = 0 ] || sleep 0.5
	tries=$((tries + 1))
	legs=$(request GET "/$call/ActiveLegs.json")
done

joined=$(request POST "/$call/Legs.json" -d Action=listen --data-urlencode "PhoneNumber=$supervisor")
leg=$(echo "$joined" | field Sid)
echo "leg $leg: ringing $supervisor, who will listen"
for mode in whisper barge listen; do
	sleep "${PAUSE:-3}"
	changed=$(request PUT "/$call/Legs/$leg.json" -d "Action=$mode")
	echo "leg $leg: $(echo "$changed" | field LastAction)"
done
sleep "${PAUSE:-3}"
left=$(request PUT "/$call/Legs/$leg.json" -d Action=hangup)
echo "leg $leg: $(echo "$left" | field LastAction)"

# Hanging up a party ends a call of two for everybody. The first leg is From's.
legs=$(request GET "/$call/ActiveLegs.json")
request PUT "/$call/Legs/$(echo "$legs" | field Sid).json" -d Action=hangup >/dev/null
status=in-progress tries=0
while [ "$status" = in-progress ] && [ $tries -lt 20 ]; do
	[ $tries = 0 ] || sleep 0.5
	tries=$((tries + 1))
	now=$(request GET "/$call.json")
	status=$(echo "$now" | field Status)
done
echo "call $call: $status"
[ "$status" = completed ]
