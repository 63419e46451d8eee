#!/usr/bin/env bash
# Installs the servers that test/providers runs against, from Debian, without starting any of them.
set -eu
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
  ceph-common ceph-mon ceph-osd radosgw \
  swift swift-proxy swift-account swift-container swift-object memcached \
  apache2 nginx-extras rclone openssh-server openssh-client litmus openssl slowhttptest wrk
