"""The end of a namespace: everything in it is deleted, whatever its kind, and then it may go."""

from lab.cluster.node.client import ApiError
from lab.cluster.node.objects import deleting
from lab.cluster.node.work import Reconciler

_AGAIN_SECONDS = 0.3
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class NamespaceEnd:

    def __init__(self, context):
        self._client = context.client
        self._namespaces = context.informers["namespaces"]
        self.reconciler = Reconciler("namespace-end", self._reconcile)
        self._namespaces.add_handler(
            lambda event, old, new: deleting(new) and self.reconciler.add(new["metadata"]["name"]))

    def _reconcile(self, name):
        item = self._namespaces.get("", name)
        if item is None or not deleting(item):
            return
        left = sum(self._empty(path, name) for path in self._collections())
        if left:
            self.reconciler.add(name, after=_AGAIN_SECONDS)
            return
        if (item["spec"].get("finalizers") or []) != []:
            try:
                self._client.call("PUT", f"/api/v1/namespaces/{name}/finalize",
                                  {**item, "spec": {**item["spec"], "finalizers": []}})
            except ApiError as error:
                if error.code != 404:
                    raise

    def _collections(self):
        """[path with {} for the namespace] of every namespaced resource that can be deleted."""
        paths = []
        for root in ("/api", "/apis"):
            for group in self._client.call("GET", root, accept=_DISCOVERY)["items"]:
                # One version of a resource is enough: the same objects are in all of them.
                seen = set()
                for version in group["versions"]:
                    prefix = f"{root}/{version['version']}" if root == "/api" else \
                        f"{root}/{group['metadata']['name']}/{version['version']}"
                    for resource in version["resources"]:
                        if resource["scope"] != "Namespaced" or resource["resource"] in seen or \
                                not {"list", "delete"} <= set(resource["verbs"]):
                            continue
                        seen.add(resource["resource"])
                        paths.append(f"{prefix}/namespaces/{{}}/{resource['resource']}")
        return [path for path in paths if not path.startswith("/apis/events.k8s.io/")]

    def _empty(self, path, name):
        """Deletes what a collection still holds; returns how many there were."""
        collection = path.format(name)
        try:
            items = self._client.call("GET", collection)["items"]
        except ApiError as error:
            if error.code == 404:
                return 0
            raise
        for item in items:
            if deleting(item):
                continue
            try:
                self._client.call("DELETE", f"{collection}/{item['metadata']['name']}",
                                  {"apiVersion": "v1", "kind": "DeleteOptions",
                                   "propagationPolicy": "Background"})
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        return len(items)
