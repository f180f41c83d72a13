"""Who carries the same traffic: Weft, nginx and HAProxy, each with a proxy beside the client and one beside the
server, mutual TLS 1.3 between them; and nobody at all.

Every contender has two pods of its own in one lab, so that all of them stand ready while they are measured in turn.
"""

import os

from bench_process import cpu_nanoseconds, group, rss_bytes
from lab import run, wait_for
from lab.namespace import APPLICATION_UID

SIZES = {"128B": 128, "1KB": 1024, "16KB": 16 * 1024, "1MB": 1024 * 1024}

_PORT = 8080        # where a client finds the peers' outbound proxy
_TLS_PORT = 8443    # where that finds the inbound proxy
_CIPHER = "TLS_AES_128_GCM_SHA256"

_NGINX_HEAD = """\
daemon off;
worker_processes {workers};
pid {directory}/{name}.pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8000; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/{name}-body;
  proxy_temp_path {directory}/{name}-proxy;
  fastcgi_temp_path {directory}/{name}-fastcgi;
  uwsgi_temp_path {directory}/{name}-uwsgi;
  scgi_temp_path {directory}/{name}-scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_buffers 16 32k;
  proxy_buffer_size 32k;
  proxy_busy_buffers_size 64k;
  proxy_max_temp_file_size 0;
"""

_APPLICATION = _NGINX_HEAD + """\
  open_file_cache max=100 inactive=3600s;
  server {{
    listen 80;
    root {directory}/files;
  }}
}}
"""

_NGINX_OUTBOUND = _NGINX_HEAD + """\
  upstream inbound {{ server {server}:{tls_port}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 3600s; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass https://inbound;
      proxy_ssl_certificate {directory}/peer.pem;
      proxy_ssl_certificate_key {directory}/peer.pem;
      proxy_ssl_trusted_certificate {directory}/ca.pem;
      proxy_ssl_verify on;
      proxy_ssl_name peer;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_conf_command Ciphersuites {cipher};
    }}
  }}
}}
"""

_NGINX_INBOUND = _NGINX_HEAD + """\
  upstream application {{ server 127.0.0.1:80; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 3600s; }}
  server {{
    listen {tls_port} ssl;
    ssl_certificate {directory}/peer.pem;
    ssl_certificate_key {directory}/peer.pem;
    ssl_client_certificate {directory}/ca.pem;
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites {cipher};
    location / {{ proxy_pass http://application; }}
  }}
}}
"""

_HAPROXY_HEAD = """\
global
  nbthread {workers}
  maxconn 8000
  ssl-default-bind-ciphersuites {cipher}
  ssl-default-server-ciphersuites {cipher}
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-server-options ssl-min-ver TLSv1.3
  tune.pool-high-fd-ratio 80
defaults
  mode http
  http-reuse always
  option http-keep-alive
  timeout connect 5s
  timeout client 1h
  timeout server 1h
"""

_HAPROXY_OUTBOUND = _HAPROXY_HEAD + """\
listen outbound
  bind 127.0.0.1:{port}
  server inbound {server}:{tls_port} ssl crt {directory}/peer.pem ca-file {directory}/ca.pem verify required \
verifyhost peer{alpn} pool-max-conn -1 pool-purge-delay 1h
"""

_HAPROXY_INBOUND = _HAPROXY_HEAD + """\
listen inbound
  bind {server}:{tls_port} ssl crt {directory}/peer.pem ca-file {directory}/ca.pem verify required{alpn}
  server application 127.0.0.1:80 pool-max-conn -1 pool-purge-delay 1h
"""

_HAPROXY_RELAY = """\
global
  nbthread {workers}
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
"""


def _write(path, text, mode=0o644):
    with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(text)
    os.chown(path, APPLICATION_UID, APPLICATION_UID)
    return path


def make_certificates(directory):
    """A CA and one P-256 certificate that serves and asks: ca.pem, peer.pem (with its key)."""
    os.makedirs(directory, exist_ok=True)
    key, certificate, request = (os.path.join(directory, name) for name in ("ca.key", "ca.pem", "peer.csr"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run(["openssl", "req", "-x509", *curve, "-subj", "/CN=bench", "-days", "2", "-keyout", key, "-out", certificate])
    run(["openssl", "req", *curve, "-subj", "/CN=peer", "-addext", "subjectAltName=DNS:peer", "-keyout",
         os.path.join(directory, "peer.key"), "-out", request])
    run(["openssl", "x509", "-req", "-in", request, "-CA", certificate, "-CAkey", key, "-days", "2",
         "-copy_extensions", "copyall", "-out", os.path.join(directory, "peer.crt")])
    pem = ""
    for name in ("peer.crt", "peer.key"):
        with open(os.path.join(directory, name), encoding="ascii") as file:
            pem += file.read()
    _write(os.path.join(directory, "peer.pem"), pem, 0o600)


class Contender:
    """A pair of pods, an application in one, and what stands between them."""

    meshed = False

    def __init__(self, lab, name, workers):
        self.lab, self.name, self.workers = lab, name, workers
        self.client = lab.add_pod(f"{name}-client", meshed=self.meshed)
        self.server = lab.add_pod(f"{name}-server", meshed=self.meshed, ports=(80,))
        self.service = lab.add_service(f"{name}-app", {"app": f"{name}-server"}, [{"name": "http", "port": 80}])
        self.outbound = self.inbound = None

    def settings(self):
        return {"workers": self.workers, "server": self.server.ip, "port": _PORT, "tls_port": _TLS_PORT,
                "cipher": _CIPHER, "directory": self.server.directory, "alpn": ""}

    def start_application(self):
        directory = self.server.directory
        os.makedirs(f"{directory}/files", exist_ok=True)
        for name, size in SIZES.items():
            with open(f"{directory}/files/{name}", "wb") as file:
                file.write(b"w" * size)
        self._nginx(self.server, "application", _APPLICATION, workers=1)

    def start(self):
        """The proxies, once everything is published."""

    def _nginx(self, pod, name, template, **changed):
        path = _write(f"{self.server.directory}/{name}.conf",
                      template.format(name=name, **{**self.settings(), **changed}))
        os.chown(self.server.directory, APPLICATION_UID, APPLICATION_UID)
        return pod.net.start(name, ["nginx", "-p", self.server.directory, "-e", "stderr", "-c", path],
                             uid=APPLICATION_UID)

    def _haproxy(self, pod, name, template, **changed):
        path = _write(f"{self.server.directory}/{name}.conf",
                      template.format(name=name, **{**self.settings(), **changed}))
        return pod.net.start(name, ["haproxy", "-db", "-f", path], uid=APPLICATION_UID)

    def url(self, size):
        return f"http://127.0.0.1:{_PORT}/{size}"

    def await_answer(self):
        wait_for(lambda: self.client.status_of(self.url("1KB")) == 200, f"{self.name} to carry a request", 30)

    def processes(self):
        """(outbound's, inbound's) processes."""
        return tuple(group(process.pid) if process else [] for process in (self.outbound, self.inbound))

    def cpu(self):
        """Nanoseconds of CPU so far of (outbound, inbound)."""
        return tuple(map(cpu_nanoseconds, self.processes()))

    def rss(self):
        """Bytes resident of (outbound, inbound), masters included."""
        return tuple(sum(map(rss_bytes, processes)) for processes in self.processes())


class Direct(Contender):
    """Client and server without anything in between."""

    def url(self, size):
        return f"http://{self.server.ip}/{size}"


class Weft(Contender):
    """Our sidecars, behind real interception."""

    meshed = True

    def start(self):
        # The lab has started the sidecars.
        self.outbound, self.inbound = self.client.sidecar, self.server.sidecar

    def url(self, size):
        return f"http://{self.service.cluster_ips[0]}/{size}"


class Nginx(Contender):
    def start(self):
        make_certificates(self.server.directory)
        self.inbound = self._nginx(self.server, "inbound", _NGINX_INBOUND)
        self.outbound = self._nginx(self.client, "outbound", _NGINX_OUTBOUND)


class HAProxy(Contender):
    """HTTP/1.1 between the proxies."""

    alpn = ""

    def start(self):
        make_certificates(self.server.directory)
        self.inbound = self._haproxy(self.server, "inbound", _HAPROXY_INBOUND, alpn=self.alpn)
        self.outbound = self._haproxy(self.client, "outbound", _HAPROXY_OUTBOUND, alpn=self.alpn)


class HAProxyHttp2(HAProxy):
    """HTTP/2 between the proxies, as ours have it."""

    alpn = " alpn h2"


class Relay(Contender):
    """Copies bytes, without HTTP and without TLS: what any two hops cost."""

    def start(self):
        inbound = _HAPROXY_RELAY + "listen inbound\n  bind {server}:{tls_port}\n  server a 127.0.0.1:80\n"
        outbound = _HAPROXY_RELAY + "listen outbound\n  bind 127.0.0.1:{port}\n  server a {server}:{tls_port}\n"
        self.inbound = self._haproxy(self.server, "inbound", inbound)
        self.outbound = self._haproxy(self.client, "outbound", outbound)


ALL = {"direct": Direct, "relay": Relay, "weft": Weft, "nginx": Nginx, "haproxy": HAProxy,
       "haproxy-h2": HAProxyHttp2}
PEERS = ("nginx", "haproxy", "haproxy-h2")
