#!/bin/sh
# A softphone of your own at Earshot: registers baresip under one of the names in earshot.yaml and picks up every call.
#
#   examples/baresip/phone.sh NAME PASSWORD [HOST:PORT]       default 127.0.0.1:5060; Ctrl-C ends it
#
#   HUM=440         the tone that it hums; HUM=card talks by the sound card instead
#   HEARD=folder    records what it hears, a WAV file per call
#   ANSWER=manual   rings until you press Enter
#   TRANSPORT=tcp   instead of udp
set -eu

[ $# -ge 2 ] || { sed -n '2,9p' "$0"; exit 2; }
command -v baresip >/dev/null || { echo "baresip is not installed: apt-get install baresip-core" >&2; exit 3; }
name=$1 password=$2 server=${3:-127.0.0.1:5060}
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'kill "$phone" 2>/dev/null' INT TERM

cp "$here/config" "$folder/config"
printf '<sip:%s@%s;transport=%s>;auth_user=%s;auth_pass=%s;regint=300;audio_codecs=PCMU/8000/1,PCMA/8000/1;answermode=%s\n' \
	"$name" "$server" "${TRANSPORT:-udp}" "$name" "$password" "${ANSWER:-auto}" >"$folder/accounts"
: >"$folder/contacts"

if [ "${HUM:-440}" != card ]; then
	sed -i -e '/alsa/d' -e '/ausrc_/d' "$folder/config"
	printf '%s\n' "audio_source ausine,${HUM:-440}" 'ausrc_srate 48000' 'ausrc_channels 2' 'audio_player aubridge,ear' 'audio_alert aubridge,bell' \
		'module ausine.so' 'module aubridge.so' >>"$folder/config"
fi
[ "${ANSWER:-auto}" = manual ] || sed -i -e '/stdio/d' "$folder/config"
case $server in 127.*) echo 'net_interface 127.0.0.1' >>"$folder/config" ;; esac
if [ -n "${HEARD:-}" ]; then
	mkdir -p "$HEARD"
	printf '%s\n' 'module sndfile.so' "snd_path $(cd "$HEARD" && pwd)" >>"$folder/config"
fi

if [ "${ANSWER:-auto}" = manual ]; then
	baresip -4 -f "$folder"
else
	baresip -4 -f "$folder" </dev/null &
	phone=$!
	wait "$phone"
fi
