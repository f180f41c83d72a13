"""The controllers: each watches some resources and makes others follow, as those of Kubernetes do."""

from dataclasses import dataclass

from lab.cluster.node.client import Client
from lab.cluster.node.events import Events
from lab.cluster.node.informer import Informers


@dataclass(frozen=True)
class Context:
    """What every controller works with."""
    client: Client
    informers: Informers
    events: Events
    node_name: str
    root_certificate: str  # PEM of the cluster's CA
