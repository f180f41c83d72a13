"""Applications for pods: nginx as Debian ships it, configured to say who answered; and our recorder."""

import os

from lab.binaries import ROOT
from lab.namespace import APPLICATION_UID
from lab.shell import wait_for

_NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 4096; }}
http {{
  log_format lab '$msec $remote_addr "$request" $status $body_bytes_sent "$http_cookie"';
  access_log {directory}/access.log lab;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_max_body_size 0;
  default_type text/plain;
  server {{
{listens}
    add_header x-served-by {pod} always;
    location / {{ return 200 "{answer}\\n"; }}
    location /echo {{
      return 200 "app={answer} pod={pod} method=$request_method uri=$request_uri host=$http_host \
cookie=$http_cookie remote=$remote_addr version=$server_protocol\\n";
    }}
    location /status/204 {{ return 204; }}
    location /status/404 {{ return 404 "no such thing\\n"; }}
    location /status/500 {{ return 500 "broken on purpose\\n"; }}
    location /files/ {{ alias {directory}/files/; }}
  }}
}}
"""


class Nginx:
    """nginx in a pod, as the application's user. `answer` is what it says to GET /."""

    def __init__(self, pod, answer, ports=(80,)):
        self._pod = pod
        self._ports = ports
        self.directory = os.path.join(pod.directory, "nginx")
        self._write_configuration(answer)
        self.process = pod.net.start("nginx", ["nginx", "-p", self.directory, "-e", "stderr", "-c",
                                               f"{self.directory}/nginx.conf"], uid=APPLICATION_UID)

    def wait_until_listening(self):
        for port in self._ports:
            wait_for(lambda p=port: self.process.check_running() and self._answers(p),
                     f"nginx in {self._pod.name} on port {port}")
        return self

    def served(self, of=""):
        """How many requests it has answered whose log line contains `of`."""
        try:
            with open(f"{self.directory}/access.log") as log:
                return sum(of in line for line in log)
        except FileNotFoundError:
            return 0

    def put_file(self, name, size_bytes):
        """Makes a file of zero bytes under /files/, which takes no room on disk."""
        path = f"{self.directory}/files/{name}"
        with open(path, "wb") as file:
            file.truncate(size_bytes)
        return f"/files/{name}"

    def _answers(self, port):
        # Over loopback, which is not redirected.
        self._pod.net.connect("127.0.0.1", port, timeout=1).close()
        return True

    def _write_configuration(self, answer):
        os.makedirs(f"{self.directory}/files", exist_ok=True)
        listens = "\n".join(f"    listen {port};\n    listen [::]:{port};" for port in self._ports)
        with open(f"{self.directory}/nginx.conf", "w") as conf:
            conf.write(_NGINX.format(directory=self.directory, listens=listens, answer=answer,
                                     pod=self._pod.name))
        os.chown(self.directory, APPLICATION_UID, APPLICATION_UID)


class Recorder:
    """test/apps/recorder.py in a pod: answers with what it was sent."""

    def __init__(self, pod, port):
        self._pod = pod
        self._port = port
        with open(os.path.join(ROOT, "test/apps/recorder.py")) as source:
            program = source.read()
        # As text, because the application's user may not be able to read the checkout.
        self.process = pod.net.start("recorder", ["/usr/bin/python3", "-c", program, port],
                                     uid=APPLICATION_UID)

    def wait_until_listening(self):
        wait_for(lambda: self.process.check_running() and
                 not self._pod.net.connect("127.0.0.1", self._port, timeout=1).close(),
                 f"the recorder in {self._pod.name}")
        return self
