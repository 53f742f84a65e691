#!/bin/sh
# Run by berth, process 1, on a kernel without nf_tables and with ipv6.disable=1, whose way out is a
# line of Uplink=.
# shellcheck disable=SC1091 # it is there in the machine
. /etc/lib.sh
never 'this kernel has no nf_tables' grep -q '^nf_tables ' /proc/modules
never 'and no IPv6' test -e /proc/sys/net/ipv6

# ---- the way out ------------------------------------------------------------------------------------
says 'Uplink= has given the link its address' 'inet 10.0.2.77/24' ip -4 addr show eth0
says 'and the machine its way out' 'default via 10.0.2.2 dev eth0' ip -4 route
says 'and its name server' '^nameserver 10.0.2.3$' cat /etc/resolv.conf
ok 'who is on that wire answers' ping -c 1 -W 5 10.0.2.2
sed -i s/2.77/2.78/ /etc/bare/berth.conf
ok 'a reload sets up another address' berth reload
says 'which is there' 'inet 10.0.2.78/24' ip -4 addr show eth0
never 'in place of the first' sh -c 'ip -4 addr show eth0 | grep -q 2.77'

# ---- a port without packet rules --------------------------------------------------------------------
ok 'web becomes ready' until_true 30 active web ready
active web ready || berth why web | show
ok 'asker becomes ready' until_true 30 active asker ready
berth ps -a | show
answers() { wget -q -O - "http://$1:8080/" | grep -q 'hello from a container'; }
ok 'its port answers on loopback' until_true 20 answers 127.0.0.1
ok 'and by the address of the machine' answers 10.0.2.78
says 'a sibling asks by the gateway' 'hello from a container' \
	berth exec asker wget -q -O - http://10.88.5.1:8080/
says 'and by name, past it' 'hello from a container' berth exec asker wget -q -O - http://web/
says 'port tells how' '^80/tcp -> 0.0.0.0:8080 .proxy.$' berth port web
says 'one that wants packet rules is refused in words' 'kernel has no nf_tables.*PublishMode=proxy' \
	berth start rules
says 'one on a network of IPv6 too' 'no IPv6: boot it without ipv6.disable=1' berth start six
pid=$(pid_of web)
kill -KILL "$(pid_of web.proxy)"
ok 'the proxy comes back when it is killed' until_true 20 answers 127.0.0.1
same 'and the container did not notice' "$pid" "$(pid_of web)"
says 'doctor tells of both: nf_tables' '^nf_tables  *missing' berth doctor
says 'doctor tells of both: IPv6' '^IPv6  *missing' berth doctor
say 'done'
kill -USR2 1
