"""Discovery: which groups, versions and resources there are, in the aggregated and in the old form."""

from lab.cluster.api.kinds import SUBRESOURCES

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


def document(kinds, request, path):
    """(document, content type), or None if the path is no path of discovery."""
    location = request.path.rstrip("/") or "/"
    if location in ("/api", "/apis"):
        version = _aggregated_version(request.headers.get("accept", ""))
        if version:
            return _aggregated(kinds, location == "/api", version), _AGGREGATED.format(version)
        return (_core_versions() if location == "/api" else _group_list(kinds)), "application/json"
    if location == "/":
        return {"paths": _paths(kinds)}, "application/json"
    groups = kinds.groups()
    if path is not None:
        if path.version not in groups.get(path.group, ()):
            return None
        return _resource_list(kinds, path.group, path.version), "application/json"
    parts = location.strip("/").split("/")
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in groups:
        group = _group(parts[1], groups[parts[1]])
        return {"kind": "APIGroup", "apiVersion": "v1", **group}, "application/json"
    return None


def _aggregated_version(accept):
    for clause in accept.split(","):
        parameters = [part.strip() for part in clause.split(";")]
        if "as=APIGroupDiscoveryList" in parameters and "g=apidiscovery.k8s.io" in parameters:
            for version in ("v2", "v2beta1"):
                if f"v={version}" in parameters:
                    return version
        elif parameters[0] == "application/json" and len(parameters) == 1:
            return None
    return None


def _aggregated(kinds, core, version):
    items = []
    for group, versions in kinds.groups().items():
        if (group == "") != core:
            continue
        items.append({"metadata": {"name": group} if group else {}, "versions": [
            {"version": name, "resources": [_resource(kind) for kind in _sorted(kinds, group, name)],
             "freshness": "Current"} for name in versions]})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {},
            "items": items}


def _sorted(kinds, group, version):
    return sorted(kinds.in_version(group, version), key=lambda kind: kind.resource)


def _response_kind(group, version, kind):
    return {"group": group, "version": version, "kind": kind}


def _subresource(kind, name):
    if name in SUBRESOURCES:
        group, version, response, _, verbs = SUBRESOURCES[name]
        if group == "":
            version = ""
        return group, version, response, list(verbs)
    return "", "", kind.kind, ["update"] if name == "finalize" else ["get", "patch", "update"]


def _resource(kind):
    resource = {"resource": kind.resource, "responseKind": _response_kind("", "", kind.kind),
                "scope": "Namespaced" if kind.namespaced else "Cluster", "singularResource": kind.singular,
                "verbs": list(kind.verbs)}
    if kind.custom is not None:
        resource["responseKind"] = _response_kind(kind.group, kind.version, kind.kind)
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        resource["subresources"] = []
        for name in kind.subresources:
            group, version, response, verbs = _subresource(kind, name)
            if kind.custom is not None and not group:
                group, version = kind.group, kind.version
            resource["subresources"].append({"subresource": name, "responseKind": _response_kind(
                group, version, response), "verbs": verbs})
    return resource


def _core_versions():
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _group(name, versions):
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def _group_list(kinds):
    return {"kind": "APIGroupList", "apiVersion": "v1",
            "groups": [_group(name, versions) for name, versions in kinds.groups().items() if name]}


def _resource_list(kinds, group, version):
    resources = []
    for kind in _sorted(kinds, group, version):
        entry = {"name": kind.resource, "singularName": kind.singular, "namespaced": kind.namespaced,
                 "kind": kind.kind, "verbs": list(kind.verbs)}
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        resources.append(entry)
        for name in kind.subresources:
            sub_group, sub_version, response, verbs = _subresource(kind, name)
            entry = {"name": f"{kind.resource}/{name}", "singularName": "", "namespaced": kind.namespaced}
            if sub_group:
                entry.update(group=sub_group, version=sub_version)
            resources.append({**entry, "kind": response, "verbs": verbs})
    return {"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _paths(kinds):
    paths = ["/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/openapi/v3", "/openapi/v3/",
             "/readyz",
             "/version"]
    for group, versions in kinds.groups().items():
        if group:
            paths += [f"/apis/{group}"] + [f"/apis/{group}/{version}" for version in versions]
    return sorted(paths)
