#!/usr/bin/env bash
# WebDAV by Apache, over TLS with a certificate of its own (DIR/cert.pem) at PORT, plain at PORT + 1, and at PORT + 2
# over TLS 1.2 for whoever shows DIR/client.pem (key DIR/client.key). User "user", password "pass word".
. "$(dirname "$0")/lib.sh"
with_sbin
need apache2 openssl htpasswd
modules=/usr/lib/apache2/modules
enter "$1"
port=$2
mkdir -p "root/päck s" run
chmod 755 . && chmod -R 777 root run
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
  -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' >cert.log 2>&1
openssl req -x509 -newkey rsa:2048 -nodes -keyout client.key -out client.pem -days 2 -subj /CN=client >client.log 2>&1
htpasswd -bc users user 'pass word' >users.log 2>&1
cat >apache.conf <<CONF
ServerName localhost
ServerRoot $DIR
PidFile $DIR/run/httpd.pid
DefaultRuntimeDir $DIR/run
ErrorLog $DIR/error.log
User www-data
Group www-data
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authn_core_module $modules/mod_authn_core.so
LoadModule authn_file_module $modules/mod_authn_file.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule authz_user_module $modules/mod_authz_user.so
LoadModule auth_basic_module $modules/mod_auth_basic.so
LoadModule dav_module $modules/mod_dav.so
LoadModule dav_fs_module $modules/mod_dav_fs.so
LoadModule ssl_module $modules/mod_ssl.so
LoadModule socache_shmcb_module $modules/mod_socache_shmcb.so
Listen 127.0.0.1:$port
Listen 127.0.0.1:$((port + 1))
Listen 127.0.0.1:$((port + 2))
DavLockDB $DIR/run/lock
DocumentRoot $DIR/root
<VirtualHost 127.0.0.1:$port>
  SSLEngine on
  SSLCertificateFile $DIR/cert.pem
  SSLCertificateKeyFile $DIR/key.pem
</VirtualHost>
<VirtualHost 127.0.0.1:$((port + 2))>
  SSLEngine on
  SSLCertificateFile $DIR/cert.pem
  SSLCertificateKeyFile $DIR/key.pem
  SSLProtocol TLSv1.2
  SSLCACertificateFile $DIR/client.pem
  SSLVerifyClient require
</VirtualHost>
<Directory $DIR/root>
  Dav On
  AuthType Basic
  AuthName dav
  AuthUserFile $DIR/users
  Require valid-user
</Directory>
CONF
start apache apache2 -f "$DIR/apache.conf" -DFOREGROUND
await_port "$port" apache
