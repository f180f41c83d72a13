"""What a kubelet says of a pod: phase, conditions, container statuses."""

from lab.cluster.node.kubelet.container import INIT, MAIN, SIDECAR
from lab.cluster.node.objects import condition_of, now


def status_of(run):
    """The status of a PodRun as it is now; times are kept where nothing has moved."""
    held = run.item.get("status") or {}
    status = {name: held[name] for name in ("qosClass", "nominatedNodeName") if name in held}
    inits = [container for container in run.containers if container.kind != MAIN]
    mains = [container for container in run.containers if container.kind == MAIN]
    status["phase"] = run.failure and "Failed" or _phase(run, inits, mains)
    if run.failure:
        status["reason"], status["message"] = run.failure
    if run.network.ips and run.network_ready:
        status.update(podIP=run.network.ips[0], podIPs=[{"ip": ip} for ip in run.network.ips])
    status.update(hostIP=run.node_ips[0], hostIPs=[{"ip": ip} for ip in run.node_ips],
                  startTime=held.get("startTime") or now())
    status["conditions"] = _conditions(run, inits, mains, status["phase"])
    if inits:
        status["initContainerStatuses"] = [_container(container) for container in inits]
    status["containerStatuses"] = [_container(container) for container in mains]
    return status


def _phase(run, inits, mains):
    if not run.initialized:
        return "Pending"
    if all(container.over for container in mains) and \
            all(container.over for container in inits if container.kind == SIDECAR):
        ended = [container.exit_code for container in mains]
        if None in ended:
            return "Pending" if all(code is None for code in ended) else "Failed"
        return "Succeeded" if not any(ended) else "Failed"
    if not any(container.running or container.exit_code is not None for container in mains):
        return "Pending"
    return "Running"


def _conditions(run, inits, mains, phase):
    counted = mains + [container for container in inits if container.kind == SIDECAR]
    ended = phase in ("Succeeded", "Failed")
    unready = [container.name for container in counted if not container.ready]
    why = ("PodCompleted", "") if phase == "Succeeded" else \
        ("PodFailed", "") if phase == "Failed" else \
        ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    incomplete = [container.name for container in inits
                  if not (container.exit_code == 0 if container.kind == INIT else container.started)]
    ready = not unready and not ended and run.initialized
    wanted = [
        ("PodReadyToStartContainers", run.network_ready and not run.torn_down, "", ""),
        ("Initialized", run.initialized, "ContainersNotInitialized",
         f"containers with incomplete status: [{' '.join(incomplete)}]"),
        ("Ready", ready, *why),
        ("ContainersReady", ready, *why),
        ("PodScheduled", True, "", "")]
    conditions = [_condition(run.item, *entry) for entry in wanted]
    # Conditions of others (readiness gates) stay.
    ours = {entry[0] for entry in wanted}
    return conditions + [one for one in (run.item.get("status") or {}).get("conditions") or ()
                         if one["type"] not in ours]


def _condition(pod, kind, true, reason, message):
    held = condition_of(pod, kind)
    value = "True" if true else "False"
    moved = held is None or held["status"] != value
    condition = {"type": kind, "status": value, "lastProbeTime": None,
                 "lastTransitionTime": now() if moved else held["lastTransitionTime"]}
    if not true:
        condition.update({name: text for name, text in (("reason", reason), ("message", message)) if text})
    return condition


def _container(container):
    return {
        "name": container.name, "state": container.state, "lastState": container.last_state,
        "ready": container.ready if container.kind != INIT else container.exit_code == 0,
        "restartCount": container.restarts, "image": container.spec["image"], "imageID": "",
        "containerID": container.container_id, "started": container.started}
