"""Every controller that the cluster has. (The API server itself collects what owners leave behind.)"""

from lab.cluster.node.controllers.daemon_sets import DaemonSetController
from lab.cluster.node.controllers.deployments import DeploymentController
from lab.cluster.node.controllers.endpoint_slices import EndpointSliceController
from lab.cluster.node.controllers.endpoints_mirror import EndpointsMirror
from lab.cluster.node.controllers.jobs import JobController
from lab.cluster.node.controllers.namespaces import NamespaceController
from lab.cluster.node.controllers.replica_sets import ReplicaSetController
from lab.cluster.node.controllers.scheduler import Scheduler
from lab.cluster.node.controllers.stateful_sets import StatefulSetController

_ALL = (NamespaceController, Scheduler, ReplicaSetController, DeploymentController, StatefulSetController,
        DaemonSetController, JobController, EndpointSliceController, EndpointsMirror)


def controllers_of(context):
    return [controller(context) for controller in _ALL]
