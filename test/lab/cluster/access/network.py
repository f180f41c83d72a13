"""Connections into the lab's network, as the API server's node and its kubelet would make them."""

import os
import socket

from lab.namespace import Namespace

_DIAL_SECONDS = 10.0


def connect(namespace, address, port, timeout=_DIAL_SECONDS):
    """A TCP connection from inside the network namespace of that name; "" is the one we are in.

    `timeout` is for connecting only: afterwards the socket waits as long as it takes.
    """
    if namespace:
        connection = Namespace(namespace, log_dir="").connect(address, port, timeout)
    else:
        connection = socket.create_connection((address, port), timeout)
    connection.settimeout(None)
    return connection


def namespace_with_address(address, prefix):
    """The network namespace with that address, among those whose name starts with `prefix`, or None.

    Only there a socket can be bound to it, which asks nothing of whoever made the namespace.
    """
    try:
        names = sorted(os.listdir("/run/netns"))
    except FileNotFoundError:
        return None
    for name in names:
        if name.startswith(prefix) and _is_local(name, address):
            return name
    return None


def _is_local(name, address):
    def bind():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
        return True

    try:
        return Namespace(name, log_dir="").call(bind)
    except OSError:
        return False
