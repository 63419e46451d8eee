#!/usr/bin/env bash
# Installs from Debian the servers, the browser and the tools that the tests run against, and the compiler for the native coder, without
# starting any of them.
set -eu
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
# Of PostgreSQL the programs only: each test makes a cluster of its own.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
  ceph-common ceph-mon ceph-osd radosgw \
  swift swift-proxy swift-account swift-container swift-object memcached \
  apache2 nginx-extras rclone openssh-server openssh-client litmus openssl slowhttptest wrk \
  g++ make python3 strace chromium curl zsh fish postgresql systemd
# Of Prometheus only the tool that checks rules: with the server come 300 MB.
if ! command -v promtool >/dev/null; then
  folder=$(mktemp -d)
  cd "$folder"
  apt-get download -qq prometheus
  dpkg-deb -x prometheus_*.deb .
  install -m 755 usr/bin/promtool /usr/local/bin/promtool
  cd /
  rm -rf "$folder"
fi
