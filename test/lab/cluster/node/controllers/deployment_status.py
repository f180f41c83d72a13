"""What a Deployment says of itself: counts of pods, and the conditions that `rollout status` reads."""

from lab.cluster.node.controllers.rollout import bounds
from lab.cluster.node.objects import condition_of, now, seconds_since


def status_of(deployment, current, old, created):
    """(status, seconds after which to look again or None). `created`: `current` was made just now."""
    spec, held = deployment["spec"], deployment.get("status") or {}
    sets = ([current] if current else []) + old
    total = _sum(sets, "replicas")
    ready, available = _sum(sets, "readyReplicas"), _sum(sets, "availableReplicas")
    desired = spec.get("replicas", 1)
    wanted = sum(item["spec"].get("replicas", 0) for item in sets)
    counts = {"replicas": total, "updatedReplicas": _sum([current] if current else [], "replicas"),
              "readyReplicas": ready, "availableReplicas": available,
              "unavailableReplicas": max(wanted - available, 0)}
    status = {"observedGeneration": deployment["metadata"].get("generation", 1),
              **{name: count for name, count in counts.items() if count},
              "terminatingReplicas": _sum(sets, "terminatingReplicas")}
    if held.get("collisionCount"):
        status["collisionCount"] = held["collisionCount"]
    complete = (counts["updatedReplicas"] == desired and total == desired and available >= desired)
    progressing, again = _progressing(deployment, current, counts, complete, created)
    conditions = [_available(deployment, available, desired), progressing]
    failure = current and condition_of(current, "ReplicaFailure")
    if failure:
        conditions.append(_condition(deployment, "ReplicaFailure", "True", failure["reason"],
                                     failure["message"]))
    # In the order in which they came, as the real controller keeps them.
    known = [condition["type"] for condition in held.get("conditions") or ()]
    conditions = [condition for condition in conditions if condition]
    conditions.sort(key=lambda one: known.index(one["type"]) if one["type"] in known else len(known))
    status["conditions"] = conditions
    return status, again


def _available(deployment, available, desired):
    enough = available >= desired - bounds(deployment["spec"])[1]
    if enough:
        return _condition(deployment, "Available", "True", "MinimumReplicasAvailable",
                          "Deployment has minimum availability.")
    return _condition(deployment, "Available", "False", "MinimumReplicasUnavailable",
                      "Deployment does not have minimum availability.")


def _progressing(deployment, current, counts, complete, created):
    held = condition_of(deployment, "Progressing")
    spec = deployment["spec"]
    if spec.get("paused"):
        return _condition(deployment, "Progressing", "Unknown", "DeploymentPaused",
                          "Deployment is paused"), None
    name = f'"{current["metadata"]["name"]}"'
    if complete:
        return _condition(deployment, "Progressing", "True", "NewReplicaSetAvailable",
                          f"ReplicaSet {name} has successfully progressed."), None
    if created:
        return _condition(deployment, "Progressing", "True", "NewReplicaSetCreated",
                          f"Created new replica set {name}", touched=True), None
    before = deployment.get("status") or {}
    # Progress: more pods of the new template, fewer of the old, or more that can be used.
    moved = (counts["updatedReplicas"] > before.get("updatedReplicas", 0) or
             counts["readyReplicas"] > before.get("readyReplicas", 0) or
             counts["availableReplicas"] > before.get("availableReplicas", 0) or
             counts["replicas"] - counts["updatedReplicas"] <
             before.get("replicas", 0) - before.get("updatedReplicas", 0))
    if moved or held is None or held["reason"] == "DeploymentPaused":
        return _condition(deployment, "Progressing", "True", "ReplicaSetUpdated",
                          f"ReplicaSet {name} is progressing.", touched=True), None
    if held["reason"] == "NewReplicaSetAvailable":
        # Pods of a finished rollout went away: that is not a rollout that stalls.
        return dict(held), None
    left = spec.get("progressDeadlineSeconds", 600) - seconds_since(held["lastUpdateTime"])
    if left <= 0:
        return _condition(deployment, "Progressing", "False", "ProgressDeadlineExceeded",
                          f"ReplicaSet {name} has timed out progressing."), None
    return dict(held), left + 1.0


def _condition(deployment, kind, value, reason, message, touched=False):
    """A condition that keeps its times unless something about it changed."""
    held = condition_of(deployment, kind)
    if held and not touched and (held["status"], held["reason"], held.get("message")) == (
            value, reason, message):
        return dict(held)
    moved = held is None or held["status"] != value
    return {"type": kind, "status": value, "lastUpdateTime": now(),
            "lastTransitionTime": now() if moved else held["lastTransitionTime"],
            "reason": reason, "message": message}


def _sum(sets, name):
    return sum((item.get("status") or {}).get(name, 0) for item in sets)
