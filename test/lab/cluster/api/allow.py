"""Access for everybody to everything: what the server uses when it is told `--access none`."""

from lab.cluster.api.interfaces import ADMIN


class AllowAll:
    """No authentication, no authorization, no admission."""

    def authenticate(self, headers, client_cert):
        return ADMIN

    def authorize(self, user, verb, group, resource, subresource, namespace, name, path):
        return True, ""

    def admit(self, admission, settle):
        if admission.object is None:
            return None, []
        return settle(admission.object), []

    def handlers(self):
        return {}

    def paths(self):
        return {}
