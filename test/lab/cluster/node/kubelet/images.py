"""The lab's image registry: which program of this machine stands for which image."""

import os
import threading
from dataclasses import dataclass, field

from lab.binaries import ROOT, find_binary, install

_NGINX_CONF = """\
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 4096; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  sendfile on;
  keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf;
}
"""
# With ANSWER set (and perhaps PORT), it answers every path with that text; else it serves what is configured.
_NGINX_START = """\
#!/bin/sh
if [ -n "$ANSWER" ]; then
  port=${PORT:-80}
  cat >/etc/nginx/conf.d/default.conf <<END
server {
  listen $port;
  listen [::]:$port;
  default_type text/plain;
  add_header x-served-by "$HOSTNAME" always;
  location / { return 200 "$ANSWER\\n"; }
}
END
fi
exec "$@"
"""
_NGINX_DEFAULT = """\
server {
  listen 80;
  listen [::]:80;
  location / { root /usr/share/nginx/html; index index.html; }
}
"""
# Options and addresses are for curl; anything else is a command.
_CURL_START = """\
#!/bin/sh
if [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null; then
  set -- curl "$@"
fi
exec "$@"
"""


class ImageNotFound(Exception):
    """No program stands for the image; the message is what a user reads in the pod's status."""


@dataclass(frozen=True)
class Image:
    """What an image says of itself. `layer` is a directory that lies over the machine's own root."""
    entrypoint: tuple = ()
    command: tuple = ()
    user: int = 0
    env: dict = field(default_factory=dict)
    layer: str = ""


@dataclass(frozen=True)
class _Recipe:
    """How an image is made: programs of ours at /usr/bin, other files as {path: (text, mode)}."""
    entrypoint: tuple = ()
    command: tuple = ()
    user: int = 0
    programs: tuple = ()
    files: dict = field(default_factory=dict)
    directories: tuple = ()


def _application():
    with open(os.path.join(ROOT, "test/apps/app.py")) as source:
        return {"app/app.py": (source.read(), 0o755)}


def _recipes():
    shell = _Recipe(command=("sh",))
    return {
        "weft/sidecar": _Recipe(("/usr/bin/weft-sidecar",), user=1337,
                                programs=("weft-sidecar", "weft-init")),
        "weft/control-plane": _Recipe(("/usr/bin/weft-control-plane",), user=65532,
                                      programs=("weft-control-plane",)),
        "weft/injector": _Recipe(("/usr/bin/weft-injector",), user=65532, programs=("weft-injector",)),
        "weft/meshctl": _Recipe(("/usr/bin/meshctl",), user=65532, programs=("meshctl",)),
        "weft/app": _Recipe(("/usr/bin/python3", "/app/app.py"), user=10001, files=_application()),
        "nginx": _Recipe(("/docker-entrypoint.sh",), ("nginx", "-g", "daemon off;"), files={
            "docker-entrypoint.sh": (_NGINX_START, 0o755),
            "etc/nginx/nginx.conf": (_NGINX_CONF, 0o644),
            "etc/nginx/conf.d/default.conf": (_NGINX_DEFAULT, 0o644)}),
        "busybox": shell, "alpine": shell, "debian": shell, "ubuntu": shell, "bash": shell,
        "python": _Recipe(command=("python3",)),
        "curlimages/curl": _Recipe(("/entrypoint.sh",), ("curl",), user=100,
                                   files={"entrypoint.sh": (_CURL_START, 0o755)}),
        "kubernetes/pause": _Recipe(("sh", "-c", "trap 'exit 0' TERM INT; sleep infinity & wait")),
    }


class Images:
    """Makes an image's layer when it is first asked for. Thread-safe."""

    def __init__(self, directory, binaries=None):
        """`binaries`: {program: path} instead of where find_binary looks."""
        self._directory = directory
        self._binaries = binaries or {}
        self._lock = threading.Lock()
        self._made = {}
        self._recipes = _recipes()

    def get(self, reference):
        """The Image of a reference such as `registry:5000/weft/sidecar:0.1@sha256:...`; neither registry nor
        tag matters. Raises ImageNotFound."""
        name = self._name_of(reference)
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name, self._recipes[name])
            return self._made[name]

    def _name_of(self, reference):
        path = reference.split("@")[0]
        if ":" in path.rsplit("/", 1)[-1]:
            path = path.rsplit(":", 1)[0]
        parts = path.split("/")
        for length in (2, 1):
            name = "/".join(parts[-length:])
            official = len(parts) == 1 or parts[-2] in ("library", parts[0])
            if name in self._recipes and (length == 2 or official):
                return name
        raise ImageNotFound(f"failed to pull and unpack image {reference!r}: not found: the lab knows "
                            f"{', '.join(sorted(self._recipes))}")

    def _make(self, name, recipe):
        layer = os.path.join(self._directory, name.replace("/", "_"))
        os.makedirs(layer, mode=0o755, exist_ok=True)
        for program in recipe.programs:
            try:
                source = self._binaries.get(program) or find_binary(program)
            except (FileNotFoundError, KeyError) as error:
                raise ImageNotFound(f"failed to pull image {name!r}: {error}") from error
            install(source, os.path.join(layer, "usr/bin"), program)
        for path, (text, mode) in recipe.files.items():
            target = os.path.join(layer, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w") as file:
                file.write(text)
            os.chmod(target, mode)
        return Image(recipe.entrypoint, recipe.command, recipe.user, layer=layer)
