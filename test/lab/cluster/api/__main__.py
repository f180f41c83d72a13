"""python3 -m lab.cluster.api: an API server of its own, until SIGTERM."""

import argparse
import importlib
import os
import signal
import socket
import sys
import threading

from lab.cluster.api import bootstrap
from lab.cluster.api.allow import AllowAll
from lab.cluster.api.certificates import Authority
from lab.cluster.api.http import Server
from lab.cluster.api.interfaces import Options
from lab.cluster.api.server import ApiServer
from lab.cluster.api.storage import Storage
from lab.namespace import Namespace

# Where pods find the API server: the first address of the service range, as `kubernetes.default` has it.
_SERVICE_ADDRESS = "10.96.0.1"


def _address(text):
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _arguments():
    parser = argparse.ArgumentParser(prog="python3 -m lab.cluster.api", description=__doc__)
    parser.add_argument("--directory", required=True,
                        help="keeps the state, the CA and the keys; made if need be")
    parser.add_argument("--kubeconfig", required=True, help="written for the administrator, before it serves")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 0),
                        help="default 127.0.0.1:0, any port")
    parser.add_argument("--node-namespace", default="", help="network namespace of the lab's node")
    parser.add_argument("--node-directory", default="", help="the node's --directory, for exec and logs")
    parser.add_argument("--node-listen", type=_address, default=None, help="also listen there, inside it")
    parser.add_argument("--bookmark-interval", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--history", type=int, default=20000, metavar="EVENTS",
                        help="how many writes are remembered; older resourceVersions get 410")
    parser.add_argument("--no-streaming-lists", action="store_true", help="answer sendInitialEvents with 422")
    parser.add_argument("--access", choices=("rbac", "none"), default="rbac",
                        help="none: everybody may everything")
    return parser.parse_args()


class Settings:
    """What watches ask."""

    def __init__(self, arguments):
        self.bookmark_interval = arguments.bookmark_interval
        self.streaming_lists = not arguments.no_streaming_lists


def _listen(address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=512)


def _port(directory, address):
    """The port to listen at: after a restart the same as before, so that the kubeconfig stays true."""
    if address[1]:
        return address
    try:
        with open(os.path.join(directory, "port")) as file:
            return address[0], int(file.read())
    except (OSError, ValueError):
        return address


def main():
    arguments = _arguments()
    os.makedirs(arguments.directory, mode=0o700, exist_ok=True)
    authority = Authority(arguments.directory)
    try:
        sock = _listen(_port(arguments.directory, arguments.listen))
    except OSError:
        sock = _listen(arguments.listen)
    host, port = sock.getsockname()[:2]
    with open(os.path.join(arguments.directory, "port"), "w") as file:
        file.write(str(port))
    addresses = {host, "127.0.0.1", _SERVICE_ADDRESS}
    if arguments.node_listen:
        addresses.add(arguments.node_listen[0])
    store = Storage(os.path.join(arguments.directory, "state"), arguments.history)
    bootstrap.fill(store, _SERVICE_ADDRESS, (arguments.node_listen or (host, port))[1], arguments.node_listen)
    server = ApiServer(store, Settings(arguments))
    http = Server(authority.server_context(sorted(addresses)), server.handle, server.refuse)
    http.listen(sock)
    if arguments.node_listen:
        inside = Namespace(arguments.node_namespace, arguments.directory)
        http.listen(inside.listen(*arguments.node_listen))
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    server.start(_access(arguments, authority, server, url))
    authority.write_kubeconfig(arguments.kubeconfig, url)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"serving {url}", flush=True)
    stop.wait()
    store.close()
    # Watches are cut, as those of a real server: their threads would wait for minutes.
    sys.stdout.flush()
    os._exit(0)


def _access(arguments, authority, server, url):
    if arguments.access == "none":
        return AllowAll()
    access = importlib.import_module("lab.cluster.access")
    return access.create(server,
                         Options(arguments.directory, authority.certificate_pem, authority.key_pem, url,
                                         arguments.node_namespace, arguments.node_directory))


if __name__ == "__main__":
    main()
