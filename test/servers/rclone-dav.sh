#!/usr/bin/env bash
# WebDAV by rclone, which serves some seventy kinds of storage this way; here a folder.
. "$(dirname "$0")/lib.sh"
need rclone
enter "$1"
mkdir -p root
start rclone rclone serve webdav root --addr "127.0.0.1:$2" --user user --pass secret --config "$DIR/rclone.conf" --dir-cache-time 1s
await_port "$2" rclone
