# Two hosts and a router between them, whose link to the second takes less than that to the first:
#
#     unshare -rnm sh narrow_path.sh MTU python ...    runs the command on the first host
#
# The second one is the network namespace "server".
set -e
mtu=$1
shift
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip netns add router
ip netns add server
ip link set lo up
ip link add wide type veth peer name near netns router
ip link add far netns router type veth peer name narrow netns server

ip addr add 10.0.0.1/24 dev wide
ip addr add fd00::1/64 dev wide nodad
ip link set wide up
ip route add 10.0.1.0/24 via 10.0.0.2
ip route add fd01::/64 via fd00::2

ip -n router addr add 10.0.0.2/24 dev near
ip -n router addr add fd00::2/64 dev near nodad
ip -n router link set near up
ip -n router addr add 10.0.1.2/24 dev far
ip -n router addr add fd01::2/64 dev far nodad
ip -n router link set far mtu "$mtu" up
ip netns exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

ip -n server addr add 10.0.1.1/24 dev narrow
ip -n server addr add fd01::1/64 dev narrow nodad
ip -n server link set lo up
ip -n server link set narrow mtu "$mtu" up
ip -n server route add 10.0.0.0/24 via 10.0.1.2
ip -n server route add fd00::/64 via fd01::2
exec "$@"
