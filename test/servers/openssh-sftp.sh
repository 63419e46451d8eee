#!/usr/bin/env bash
# SFTP by OpenSSH, for the user who runs this. Private key DIR/client, public half of the host key DIR/host.pub. Who comes
# with DIR/plain finds no rename that replaces, as at servers that have the bare protocol only.
. "$(dirname "$0")/lib.sh"
with_sbin
need sshd ssh-keygen
enter "$1"
mkdir -p root
chmod go-w .
ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f client
ssh-keygen -q -t ed25519 -N '' -f plain
{
  cat client.pub
  echo "command=\"internal-sftp -P posix-rename\" $(cat plain.pub)"
} >authorized
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
cat >sshd.conf <<CONF
ListenAddress 127.0.0.1
Port $2
HostKey $DIR/host
PidFile none
AuthorizedKeysFile $DIR/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxSessions 100
MaxStartups 100
Subsystem sftp internal-sftp
CONF
start sshd "$(command -v sshd)" -D -e -f "$DIR/sshd.conf"
await_port "$2" sshd
