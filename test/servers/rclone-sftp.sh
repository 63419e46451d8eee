#!/usr/bin/env bash
# SFTP by rclone, with the write cache that it needs for requests that overtake each other. User "user", password "secret"; the host key's public half is in DIR/host.pub.
. "$(dirname "$0")/lib.sh"
need rclone ssh-keygen
enter "$1"
mkdir -p root
ssh-keygen -q -t ed25519 -N '' -f host
start rclone rclone serve sftp root --addr "127.0.0.1:$2" --user user --pass secret --vfs-cache-mode writes --vfs-write-back 0 --cache-dir "$DIR/cache" --key "$DIR/host" --config "$DIR/rclone.conf" --dir-cache-time 1s
await_port "$2" rclone
