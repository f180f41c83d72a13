"""The program: informers, controllers, kubelet and service proxy of the lab's one node."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
import urllib.parse

from lab.cluster.node.client import ApiError, Client, Credentials, Unavailable
from lab.cluster.node.controllers import Context
from lab.cluster.node.controllers.all import controllers_of
from lab.cluster.node.events import Events
from lab.cluster.node.informer import Informers
from lab.cluster.node.kubelet.heartbeat import Heartbeat
from lab.cluster.node.kubelet.images import Images
from lab.cluster.node.kubelet.kubelet import Kubelet
from lab.cluster.node.service_proxy import ServiceProxy

_START_SECONDS = 60.0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="lab.cluster.node", description=__doc__)
    parser.add_argument("--kubeconfig", required=True, help="whom to be, and the cluster's CA")
    parser.add_argument("--server", default="https://10.244.0.1:6443",
                        help="the API server, as pods reach it (default: %(default)s)")
    parser.add_argument("--lab-id", required=True, help="namespaces are named weft-ID-...")
    parser.add_argument("--directory", required=True, help="volumes, containers and state of pods")
    parser.add_argument("--log-dir", required=True, help="logs of containers")
    parser.add_argument("--node-name", default="lab-node")
    parser.add_argument("--binary", action="append", default=[], metavar="PROGRAM=PATH",
                        help="a program of an image, instead of the one that was built")
    parser.add_argument("--ready-file", help="is made once pods can be run")
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser.parse_args()


def register(kubelet):
    """Makes the Node, waiting for an API server that has only just started."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return kubelet.register()
        except (ApiError, Unavailable) as error:
            if time.monotonic() > deadline:
                sys.exit(f"no Node could be made: {error}")
            time.sleep(0.1)


def main():
    arguments = parse_arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if arguments.verbose else logging.INFO,
                        format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    os.makedirs(arguments.log_dir, exist_ok=True)
    credentials = Credentials(arguments.kubeconfig, arguments.server)
    client = Client(credentials)
    informers = Informers(client)
    events = Events(client, arguments.node_name)
    context = Context(client, informers, events, arguments.node_name, credentials.authority)
    address = urllib.parse.urlsplit(arguments.server)
    images = Images(os.path.join(arguments.directory, "images"),
                    dict(entry.split("=", 1) for entry in arguments.binary))
    kubelet = Kubelet(context, images, arguments.directory, arguments.log_dir, arguments.lab_id,
                      (address.hostname, address.port or 443))
    proxy = ServiceProxy(context)
    reconcilers = [controller.reconciler for controller in controllers_of(context)]
    reconcilers += [*kubelet.reconcilers(), proxy.reconciler]

    kubelet.sweep()
    proxy.prepare()
    register(kubelet)
    events.start()
    Heartbeat(client, arguments.node_name).start()
    informers.start()
    informers.wait_until_synced()
    for reconciler in reconcilers:
        reconciler.start()
    if arguments.ready_file:
        with open(arguments.ready_file, "w"):
            pass
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    logging.info("stopped")
    # Pods run on: they end with the lab's namespaces, or when a node starts anew.
    os._exit(0)


if __name__ == "__main__":
    main()
