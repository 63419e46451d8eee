#!/usr/bin/env bash
# S3 by Ceph: one monitor, one OSD in memory, one RADOS gateway. Access key "access", secret "secret".
# PORT is the gateway's; the monitor takes the two after it. PORT + 3 is the gateway over TLS, with a certificate of its
# own (DIR/cert.pem).
. "$(dirname "$0")/lib.sh"
with_sbin
need ceph ceph-mon ceph-osd radosgw radosgw-admin openssl
enter "$1"
port=$2
mkdir -p run mon osd
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
  -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' >cert.log 2>&1
fsid=$(cat /proc/sys/kernel/random/uuid)

# cephx stays on: with authentication "none" the gateway hangs.
cat >ceph.conf <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$((port + 1))/0,v1:127.0.0.1:$((port + 2))/0]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $DIR/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
mon data = $DIR/mon
osd data = $DIR/osd
run dir = $DIR/run
log file = $DIR/\$name.log
admin socket = $DIR/run/\$name.asok
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$((port + 3)) ssl_certificate=$DIR/cert.pem ssl_private_key=$DIR/key.pem
rgw thread pool size = 64
rgw dns name = localhost
rgw enable usage log = false
CONF
export CEPH_CONF=$DIR/ceph.conf

ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
for name in client.admin osd.0 client.rgw; do
  ceph-authtool keyring --gen-key -n "$name" --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
done
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]" monmap >/dev/null
ceph-mon --mkfs -i a --monmap monmap --keyring keyring >mkfs-mon.log 2>&1
start mon ceph-mon -i a -f

osd=$(cat /proc/sys/kernel/random/uuid)
for _ in $(seq 20); do timeout 5 ceph osd new "$osd" 0 >/dev/null 2>&1 && break; sleep 0.5; done
for name in osd.0 client.rgw; do timeout 10 ceph auth add "$name" -i keyring >/dev/null 2>&1 || true; done
ceph-osd -i 0 --mkfs --osd-uuid "$osd" --no-mon-config >mkfs-osd.log 2>&1
start osd ceph-osd -i 0 -f
for _ in $(seq 40); do timeout 5 ceph osd stat 2>/dev/null | grep -q '1 up' && break; sleep 0.25; done
timeout 60 radosgw-admin -n client.rgw user create --uid=test --display-name=test \
  --access-key=access --secret-key=secret >user.log 2>&1
start rgw radosgw -n client.rgw -f
await_port "$port" radosgw
