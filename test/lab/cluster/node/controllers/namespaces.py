"""Every namespace gets its ServiceAccount "default" and the ConfigMap kube-root-ca.crt."""

from lab.cluster.node.client import ApiError
from lab.cluster.node.objects import deleting
from lab.cluster.node.work import Reconciler

_ROOT = "kube-root-ca.crt"
_NOTE = ("Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
         "such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
         "distributions of Kubernetes clusters.")


class NamespaceController:
    """Also brings both back when somebody deletes them."""

    def __init__(self, context):
        self._context = context
        self._namespaces = context.informers["namespaces"]
        self._accounts = context.informers["serviceaccounts"]
        self._config_maps = context.informers["configmaps"]
        self.reconciler = Reconciler("namespaces", self._reconcile)
        self._namespaces.add_handler(lambda event, old, new: self.reconciler.add(new["metadata"]["name"]))
        for informer, name in ((self._accounts, "default"), (self._config_maps, _ROOT)):
            informer.add_handler(lambda event, old, new, name=name: self._wake(event, new, name))

    def _wake(self, event, item, name):
        if event != "ADDED" and item["metadata"]["name"] == name:
            self.reconciler.add(item["metadata"]["namespace"])

    def _reconcile(self, name):
        namespace = self._namespaces.get("", name)
        if namespace is None or deleting(namespace):
            return
        if self._accounts.get(name, "default") is None:
            self._create(self._accounts, name, {
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name}})
        data = {"ca.crt": self._context.root_certificate}
        held = self._config_maps.get(name, _ROOT)
        if held is None:
            self._create(self._config_maps, name, {
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": _ROOT, "namespace": name,
                             "annotations": {"kubernetes.io/description": _NOTE}},
                "data": data})
        elif held.get("data") != data:
            self._context.client.patch("configmaps", name, _ROOT, {"data": data})

    def _create(self, informer, namespace, item):
        try:
            informer.observe(self._context.client.create(informer.resource, namespace, item))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
