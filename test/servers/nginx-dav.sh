#!/usr/bin/env bash
# WebDAV by nginx with its dav-ext module, without passwords.
. "$(dirname "$0")/lib.sh"
with_sbin
need nginx
modules=/usr/lib/nginx/modules
[ -e $modules/ngx_http_dav_ext_module.so ] || { echo 'the dav-ext module of nginx is not installed' >&2; exit 77; }
enter "$1"
port=$2
mkdir -p root body
chmod 755 . && chmod -R 777 root body
cat >nginx.conf <<CONF
load_module $modules/ngx_http_dav_ext_module.so;
daemon off;
pid $DIR/master;
error_log $DIR/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $DIR/body;
  proxy_temp_path $DIR/body;
  fastcgi_temp_path $DIR/body;
  uwsgi_temp_path $DIR/body;
  scgi_temp_path $DIR/body;
  server {
    listen 127.0.0.1:$port;
    root $DIR/root;
    client_max_body_size 0;
    dav_methods PUT DELETE MKCOL COPY MOVE;
    dav_ext_methods PROPFIND OPTIONS;
    dav_access user:rw group:rw all:r;
  }
}
CONF
start nginx nginx -c "$DIR/nginx.conf" -e "$DIR/error.log"
await_port "$port" nginx
