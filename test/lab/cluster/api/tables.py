"""Tables: the columns that `kubectl get` shows of each kind, a function for each kind that has its own."""

import calendar
import time

NAME_DESCRIPTION = "The name, unique among objects of this kind in a namespace."


class Table:
    """Columns and how to fill them. Columns are (name, type, format, priority, description)."""

    def __init__(self, columns, cells):
        self._columns = columns
        self.cells = cells

    def definitions(self):
        return [{"name": name, "type": kind, "format": form, "description": description, "priority": priority}
                for name, kind, form, priority, description in self._columns]


def table_of(kind):
    """The table of a kind: its own, its definition's printer columns, or name and age."""
    if kind.custom is not None:
        return kind.custom.table()
    return _TABLES.get((kind.group, kind.resource), _DEFAULT)


def age(timestamp):
    """How long ago, as kubectl writes it."""
    if not timestamp:
        return "<unknown>"
    return duration(time.time() - seconds(timestamp))


def seconds(timestamp):
    """Seconds since the epoch of an RFC 3339 time in UTC."""
    return calendar.timegm(time.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S"))


def duration(total):
    """A duration in seconds, as kubectl writes it: 2m4s, 3h, 5d."""
    total = int(total)
    if total < 0:
        return "<invalid>" if total < -1 else "0s"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y{days % 365}d"


def _columns(text):
    """From "Name Age *IP *Node:integer": those with a star are shown with -o wide only."""
    columns = []
    for word in text.split():
        name, _, kind = word.lstrip("*").partition(":")
        form, description = ("name", NAME_DESCRIPTION) if name == "Name" else ("", "")
        columns.append((name.replace("_", " "), kind or "string", form, int(word.startswith("*")),
                        description))
    return columns


def _name(obj):
    return obj["metadata"]["name"]


def _age(obj):
    return age(obj["metadata"].get("creationTimestamp"))


def _default(obj):
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


def _or_none(value):
    return str(value) if value not in (None, "", [], {}) else "<none>"


def _containers(template):
    containers = template.get("spec", {}).get("containers") or []
    return [",".join(container["name"] for container in containers),
            ",".join(container.get("image", "") for container in containers)]


def selector_text(selector):
    """A label selector as one line."""
    if not selector:
        return "<none>"
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        operator = expression["operator"]
        values = ",".join(expression.get("values") or [])
        terms.append({"In": f"{expression['key']} in ({values})",
                      "NotIn": f"{expression['key']} notin ({values})",
                      "Exists": expression["key"]}.get(operator, f"!{expression['key']}"))
    return ",".join(terms) or "<none>"


def pod_status(pod):
    """(ready containers, all, reason, restarts) as `kubectl get pods` counts them."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    reason = status.get("reason") or status.get("phase", "")
    native = {container["name"] for container in spec.get("initContainers") or []
              if container.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or []) + len(native)
    ready = restarts = 0
    initializing = False
    for index, container in enumerate(status.get("initContainerStatuses") or []):
        state = container.get("state", {})
        is_native = container["name"] in native
        restarts += container.get("restartCount", 0) if is_native or not initializing else 0
        if "terminated" in state and state["terminated"].get("exitCode") == 0 and not is_native:
            continue
        if is_native and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if initializing:
            continue
        initializing = True
        if "terminated" in state:
            ended = state["terminated"]
            reason = "Init:" + (ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}")
        elif state.get("waiting", {}).get("reason") not in (None, "", "PodInitializing"):
            reason = "Init:" + state["waiting"]["reason"]
        else:
            reason = f"Init:{index}/{len(spec.get('initContainers') or [])}"
    if not initializing:
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            state = container.get("state", {})
            restarts += container.get("restartCount", 0)
            if state.get("waiting", {}).get("reason"):
                reason = state["waiting"]["reason"]
            elif "terminated" in state:
                ended = state["terminated"]
                reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
            elif "running" in state and container.get("ready"):
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if _condition(pod, "Ready") == "True" else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return ready, total, reason, restarts


def _condition(obj, name):
    for condition in obj.get("status", {}).get("conditions") or []:
        if condition["type"] == name:
            return condition["status"]
    return None


def _pod(pod):
    ready, total, reason, restarts = pod_status(pod)
    status, spec = pod.get("status", {}), pod.get("spec", {})
    gates = spec.get("readinessGates") or []
    met = sum(_condition(pod, gate["conditionType"]) == "True" for gate in gates)
    return [_name(pod), f"{ready}/{total}", reason, str(restarts), _age(pod), _or_none(status.get("podIP")),
            _or_none(spec.get("nodeName")), _or_none(status.get("nominatedNodeName")),
            f"{met}/{len(gates)}" if gates else "<none>"]


def _deployment(obj):
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [_name(obj), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _age(obj),
            *_containers(spec.get("template", {})), selector_text(spec.get("selector"))]


def _replica_set(obj):
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [_name(obj), spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0),
            _age(obj),
            *_containers(spec.get("template", {})), selector_text(spec.get("selector"))]


def _stateful_set(obj):
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [_name(obj), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}", _age(obj),
            *_containers(spec.get("template", {}))]


def _daemon_set(obj):
    spec, status = obj.get("spec", {}), obj.get("status", {})
    nodes = selector_text({"matchLabels": spec.get("template", {}).get("spec", {}).get("nodeSelector")})
    return [_name(obj), status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0),
            status.get("numberReady", 0), status.get("updatedNumberScheduled", 0),
            status.get("numberAvailable", 0),
            nodes, _age(obj), *_containers(spec.get("template", {})), selector_text(spec.get("selector"))]


def _job(obj):
    spec, status = obj.get("spec", {}), obj.get("status", {})
    state = next((name for name in ("Failed", "Complete", "Suspended") if _condition(obj, name) == "True"),
                 "Running")
    took = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        took = duration((seconds(end) if end else time.time()) - seconds(status["startTime"]))
    return [_name(obj), state, f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}", took, _age(obj),
            *_containers(spec.get("template", {})), selector_text(spec.get("selector"))]


def _cron_job(obj):
    spec, status = obj.get("spec", {}), obj.get("status", {})
    last = status.get("lastScheduleTime")
    return [_name(obj), spec.get("schedule"), _or_none(spec.get("timeZone")), str(spec.get("suspend", False)),
            len(status.get("active") or []), age(last) if last else "<none>", _age(obj),
            *_containers(spec.get("jobTemplate", {}).get("spec", {}).get("template", {})), "<none>"]


def _service(obj):
    spec = obj.get("spec", {})
    external = ",".join(spec.get("externalIPs") or []) or "<none>"
    if spec.get("type") == "LoadBalancer":
        given = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        external = ",".join(entry.get("ip") or entry.get("hostname", "") for entry in given) or "<pending>"
    elif spec.get("type") == "ExternalName":
        external = spec.get("externalName", "")
    ports = ",".join(f"{port['port']}:{port['nodePort']}/{port.get('protocol')}" if port.get("nodePort") else
                     f"{port['port']}/{port.get('protocol')}" for port in spec.get("ports") or [])
    return [_name(obj), spec.get("type"), spec.get("clusterIP") or "<none>", external, ports or "<none>",
            _age(obj),
            selector_text({"matchLabels": spec.get("selector")})]


def _endpoints(obj):
    shown = [f"{address['ip']}:{port['port']}" for subset in obj.get("subsets") or []
             for port in subset.get("ports") or [] for address in subset.get("addresses") or []]
    more = f" + {len(shown) - 3} more..." if len(shown) > 3 else ""
    return [_name(obj), (",".join(shown[:3]) + more) or "<none>", _age(obj)]


def _slice(obj):
    ports = [str(port.get("port", "*")) for port in obj.get("ports") or []]
    addresses = [address for endpoint in obj.get("endpoints") or [] for address in endpoint["addresses"]]
    more = f" + {len(addresses) - 3} more..." if len(addresses) > 3 else ""
    return [_name(obj), obj.get("addressType"), ",".join(ports[:3]) or "<unset>",
            (",".join(addresses[:3]) + more) or "<unset>", _age(obj)]


def _event(obj):
    target = obj.get("involvedObject") or obj.get("regarding") or {}
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or obj.get("eventTime")
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    return [age(last), obj.get("type", ""), obj.get("reason", ""),
            f"{target.get('kind', '').lower()}/{target.get('name', '')}", target.get("fieldPath", ""),
            source.get("component") or obj.get("reportingComponent") or obj.get("reportingController", ""),
            (obj.get("message") or obj.get("note") or "").strip(), age(first),
            str(obj.get("count") or obj.get("deprecatedCount") or 1), _name(obj)]


def _node(obj):
    status = "Ready" if _condition(obj, "Ready") == "True" else "NotReady"
    if obj.get("spec", {}).get("unschedulable"):
        status += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in obj["metadata"].get("labels") or {}
                   if key.startswith(prefix))
    info = obj.get("status", {}).get("nodeInfo", {})
    addresses = {entry["type"]: entry["address"] for entry in obj.get("status", {}).get("addresses") or []}
    return [_name(obj), status, ",".join(roles) or "<none>", _age(obj), info.get("kubeletVersion", ""),
            addresses.get("InternalIP", "<none>"), addresses.get("ExternalIP", "<none>"),
            info.get("osImage", "<unknown>"),
            info.get("kernelVersion", "<unknown>"), info.get("containerRuntimeVersion", "<unknown>")]


def _disruption_budget(obj):
    spec = obj.get("spec", {})
    return [_name(obj), str(spec.get("minAvailable", "N/A")), str(spec.get("maxUnavailable", "N/A")),
            obj.get("status", {}).get("disruptionsAllowed", 0), _age(obj)]


def _binding(obj):
    subjects = {kind: [subject["name"] if kind != "ServiceAccount" else
                       f"{subject.get('namespace')}/{subject['name']}" for subject in obj.get("subjects")
                       or []
                       if subject["kind"] == kind] for kind in ("User", "Group", "ServiceAccount")}
    role = obj.get("roleRef", {})
    return [_name(obj), f"{role.get('kind')}/{role.get('name')}", _age(obj)] + \
        [", ".join(names) for names in subjects.values()]


def _webhooks(obj):
    return [_name(obj), len(obj.get("webhooks") or []), _age(obj)]


_DEFAULT = Table([("Name", "string", "name", 0, NAME_DESCRIPTION),
                  ("Created At", "date", "", 0,
                   "When the object was created, "
                   "by the server's clock.")], _default)

_TEMPLATE = "*Containers *Images *Selector"
_TABLES = {
    (group, resource): Table(_columns(columns), cells) for group, resource, columns, cells in (
        ("", "pods", "Name Ready Status Restarts Age *IP *Node *Nominated_Node *Readiness_Gates", _pod),
        ("", "namespaces", "Name Status Age",
         lambda obj: [_name(obj), obj.get("status", {}).get("phase", ""), _age(obj)]),
        ("", "services", "Name Type Cluster-IP External-IP Port(s) Age *Selector", _service),
        ("", "endpoints", "Name Endpoints Age", _endpoints),
        ("", "serviceaccounts", "Name Secrets:integer Age",
         lambda obj: [_name(obj), len(obj.get("secrets") or []), _age(obj)]),
        ("", "configmaps", "Name Data:integer Age",
         lambda obj: [_name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _age(obj)]),
        ("", "secrets", "Name Type Data:integer Age",
         lambda obj: [_name(obj), obj.get("type", ""), len(obj.get("data") or {}), _age(obj)]),
        ("", "events", "Last_Seen Type Reason Object *Subobject *Source Message *First_Seen *Count *Name",
         _event),
        ("events.k8s.io", "events",
         "Last_Seen Type Reason Object *Subobject *Source Message *First_Seen *Count *Name", _event),
        ("", "nodes", "Name Status Roles Age Version *Internal-IP *External-IP *OS-Image *Kernel-Version "
         "*Container-Runtime", _node),
        ("apps", "deployments", f"Name Ready Up-to-date:integer Available:integer Age {_TEMPLATE}",
         _deployment),
        ("apps", "replicasets", f"Name Desired:integer Current:integer Ready:integer Age {_TEMPLATE}",
         _replica_set),
        ("apps", "statefulsets", "Name Ready Age *Containers *Images", _stateful_set),
        ("apps", "daemonsets", "Name Desired:integer Current:integer Ready:integer Up-to-date:integer "
         f"Available:integer Node_Selector Age {_TEMPLATE}", _daemon_set),
        ("batch", "jobs", f"Name Status Completions Duration Age {_TEMPLATE}", _job),
        ("batch", "cronjobs", f"Name Schedule Timezone Suspend Active:integer Last_Schedule Age {_TEMPLATE}",
         _cron_job),
        ("policy", "poddisruptionbudgets",
         "Name Min_Available Max_Unavailable Allowed_Disruptions:integer Age", _disruption_budget),
        ("networking.k8s.io", "networkpolicies", "Name Pod-Selector Age",
         lambda obj: [_name(obj), selector_text(obj.get("spec", {}).get("podSelector")), _age(obj)]),
        ("coordination.k8s.io", "leases", "Name Holder Age",
         lambda obj: [_name(obj), obj.get("spec", {}).get("holderIdentity", ""), _age(obj)]),
        ("discovery.k8s.io", "endpointslices", "Name AddressType Ports Endpoints Age", _slice),
        ("rbac.authorization.k8s.io", "rolebindings", "Name Role Age *Users *Groups *ServiceAccounts",
         _binding),
        ("rbac.authorization.k8s.io", "clusterrolebindings", "Name Role Age *Users *Groups *ServiceAccounts",
         _binding),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "Name Webhooks:integer Age",
         _webhooks),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "Name Webhooks:integer Age",
         _webhooks),
    )}
