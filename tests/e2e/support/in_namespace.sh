#!/bin/sh
# Runs a command in its own network namespace, with loopback and one further address (RFC 5737) on a pair of virtual
# interfaces that leads nowhere. Nothing that a browser sends can leave the machine.
set -eu
if [ "$(id -u)" -ne 0 ]; then
  # A user namespace grants the right to create interfaces.
  exec unshare --user --map-root-user --net "$0" --inside "$@"
elif [ "${1:-}" != "--inside" ]; then
  exec unshare --net "$0" --inside "$@"
fi
shift
ip link set lo up
ip link add media0 type veth peer name media1
ip address add 198.51.100.1/24 dev media0
ip link set media0 up
ip link set media1 up
ip route add default via 198.51.100.2
exec "$@"
