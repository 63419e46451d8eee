#!/usr/bin/env bash
# S3 by OpenStack Swift. Access key "test:tester", secret "testing".
# PORT is the proxy's; the three after it and PORT + 4 serve its parts.
. "$(dirname "$0")/lib.sh"
need swift-proxy-server swift-account-server swift-container-server swift-object-server swift-ring-builder memcached
enter "$1"
port=$2
mkdir -p etc node/sda

cat >etc/swift.conf <<CONF
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = gold
default = yes
CONF

common="bind_ip = 127.0.0.1
workers = 0
user = $(id -un)
swift_dir = $DIR/etc"

part=$port
for kind in account container object; do
  part=$((part + 1))
  swift-ring-builder etc/$kind.builder create 4 1 1 >/dev/null
  swift-ring-builder etc/$kind.builder add "r1z1-127.0.0.1:$part/sda" 1 >/dev/null
  swift-ring-builder etc/$kind.builder rebalance >/dev/null
  cat >etc/$kind-server.conf <<CONF
[DEFAULT]
bind_port = $part
$common
devices = $DIR/node
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
CONF
  start $kind swift-$kind-server "$DIR/etc/$kind-server.conf" -v
done

cat >etc/proxy-server.conf <<CONF
[DEFAULT]
bind_port = $port
$common
[pipeline:main]
pipeline = catch_errors cache s3api tempauth slo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$((port + 4))
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
storage_domain = localhost
check_bucket_owner = false
min_segment_size = 5242880
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
CONF
start memcached memcached -u "$(id -un)" -l 127.0.0.1 -p $((port + 4))
start proxy swift-proxy-server "$DIR/etc/proxy-server.conf" -v
await_port "$port" swift
