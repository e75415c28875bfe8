#!/usr/bin/env bash
# A cluster to look at and to use by hand: `deploy/demo.sh --web` builds and then runs this.
#
#   deploy/demo-web.sh [--app tpcc|payment] [--warehouses N] [--groups N] [--f N] [--clients N] [--dir DIR]
#                      [--port N] [--browser-key HEX]
#
#   --app        TPC-C, with a load in the background (tpcc), or payments between accounts (payment)
#   --warehouses partitions: warehouses of TPC-C, or branches (5)
#   --clients    terminals of TPC-C in the background (2; 0: none)
#   --port       of the page, so that a browser finds its keys again (any that is free)
#   --browser-key  a key that a browser made for itself: open the page once without the part "&key=..." of its
#                link, and it shows the key; then start this again with the same --port and with the key
#
# Prints a link for a browser on this machine and stays until Ctrl-C. The page comes from a gateway, which is on the
# client's side; the browser itself asks every replica. BFT_BUILD names the folder of the built programs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/processes.sh
. "$root/deploy/processes.sh"
export BFT_BUILD=${BFT_BUILD:-$root/build/release}
app=tpcc warehouses=5 groups=2 f=1 clients=2 dir="" port="" browser_key=""

fail() { echo "demo-web.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --port | --browser-key)
            name=${1#--}
            printf -v "${name//-/_}" %s "${2:?$1 needs a value}"
            shift 2
            ;;
        --app | --warehouses | --groups | --f | --clients | --dir) printf -v "${1#--}" %s "${2:?$1 needs a value}"; shift 2 ;;
        *) fail "unknown option '$1'; see: deploy/demo-web.sh --help" ;;
    esac
done
case "$app" in tpcc | payment) ;; *) fail "--app is tpcc or payment" ;; esac

made_dir=""
[ -n "$dir" ] || { dir=$(mktemp -d /tmp/bft-web.XXXXXX); made_dir=yes; }
dir=$(realpath -m "$dir")

finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    say "stopping everything"
    process_stop 5 "$dir/drive.pid"
    process_stop 10 "$dir/gateway.pid"
    [ ! -e "$dir/cluster.env" ] || "$root/deploy/cluster.sh" stop "$dir" || status=1
    if [ "$status" = 0 ] || [ "$status" -ge 128 ]; then [ -z "$made_dir" ] || rm -rf "$dir"; else echo "The logs are in $dir"; fi
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "a new cluster in $dir"
site=127.0.0.1:${port:-$(free_ports 1)}
"$root/deploy/cluster.sh" init "$dir" --app "$root/config/apps/$app" --groups "$groups" --partitions "$warehouses" --f "$f" \
    --pool-mb 128 --http plain --origins "http://$site" --clients web ${browser_key:+--client-keys "browser=$browser_key"} >/dev/null

if [ "$app" = tpcc ]; then
    say "loading TPC-C (a tenth of its size)"
    "$root/deploy/cluster.sh" start-databases "$dir"
    mapfile -t sockets < <("$root/deploy/cluster.sh" sockets "$dir" | sed 's/^/--socket=/')
    "$BFT_BUILD/bench/tpcc/tpcc_load" "${sockets[@]}" --user root --warehouses "$warehouses" --scale 0.1 --app "$root/config/apps/tpcc"
fi

say "starting the cluster and the page"
"$root/deploy/cluster.sh" start "$dir"
mkdir -p "$dir/site"
cp -r "$root/src/web/client" "$root/src/web/page" "$dir/site/"
cp "$dir/manifest.json" "$dir/site/cluster.json"
printf '[gateway]\nclient = "%s"\n[http]\nlisten = "%s"\nsite = "%s"\n' "$dir/clients/admin" "$site" "$dir/site" >"$dir/gateway.toml"
process_start "$dir/gateway.pid" "$dir/gateway.log" "$BFT_BUILD/src/node/bftnode" --role=gateway --config "$dir/gateway.toml"
wait_until 30 "the gateway, see $dir/gateway.log" curl -fsS "http://$site/livez" || fail "$(tail -n 5 "$dir/gateway.log")"
if [ "$app" = tpcc ] && [ "$clients" -gt 0 ]; then
    process_start "$dir/drive.pid" "$dir/drive.log" "$BFT_BUILD/bench/tpcc/tpcc_drive" --config "$dir/clients/bench" \
        --warehouses "$warehouses" --scale 0.1 --clients "$clients" --seconds 86400
fi

pin=$(sed -n 's/.*"digest": *"\([0-9a-f]\{64\}\)".*/\1/p' "$dir/manifest.json" | tail -n 1)
key=$(base64 -w0 "$dir/clients/web/client.key" | tr '+/' '-_' | tr -d '=')
cat <<TEXT

== Open in a browser on this machine (the link holds the cluster's digest and a key: it is yours alone):

  http://$site/page/index.html#pin=$pin&key=$key
${browser_key:+
  with the key that the browser made itself:
  http://$site/page/index.html#pin=$pin
}
  a host dies, comes back    deploy/cluster.sh kill-host $dir host2; deploy/cluster.sh start-host $dir host2
  who is up, who disagrees   $BFT_BUILD/src/node/bftctl status $dir
  the gateway, for curl      http://$site/v1/call/...
  logs                       $dir/hosts/*/log, $dir/gateway.log

Ctrl-C stops everything.
TEXT
# Waits inside the shell: no process is left when a signal comes.
while :; do read -r -t 3600 <> <(:) || true; done
