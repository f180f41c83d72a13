"""How far a rollout may go in one step: numbers only, no API."""

import math


def bounds(spec):
    """(maxSurge, maxUnavailable) as numbers of pods, by the rules of apps/v1 Deployments."""
    strategy = spec.get("strategy") or {}
    replicas = spec.get("replicas", 1)
    if strategy.get("type") == "Recreate":
        return 0, replicas
    rolling = strategy.get("rollingUpdate") or {}
    surge = _number(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _number(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # both may round to zero, and then nothing would ever move
    return surge, min(unavailable, replicas)


def scale_plan(spec, current, old, paused, recreate, old_pods):
    """{name of ReplicaSet: replicas} for those that change now. `current` may be None only while paused;
    `old_pods` says whether pods of old ReplicaSets still exist."""
    replicas = spec.get("replicas", 1)
    if paused or (not old and current is not None):
        active = [item for item in ([current] if current else []) + old if _size(item)]
        # A paused deployment is scaled, but does not roll.
        if len(active) <= 1 and (active or current):
            return {(active[0] if active else current)["metadata"]["name"]: replicas}
        return {}
    if recreate:
        plan = {item["metadata"]["name"]: 0 for item in old if _size(item)}
        if not plan and not old_pods:
            plan[current["metadata"]["name"]] = replicas
        return plan
    return _roll(spec, replicas, current, old)


def _roll(spec, replicas, current, old):
    surge, unavailable = bounds(spec)
    plan = {}
    size = _size(current)
    total = size + sum(_size(item) for item in old)
    if size > replicas:
        size = plan[current["metadata"]["name"]] = replicas
    elif size < replicas:
        grown = min(replicas, size + max(replicas + surge - total, 0))
        if grown != size:
            total += grown - size
            size = plan[current["metadata"]["name"]] = grown
    # What of the old may go: first pods that are not ready anyway, then ready ones as far as enough remain.
    removable = total - (replicas - unavailable) - (size - min(_available(current), size))
    sizes = {item["metadata"]["name"]: _size(item) for item in old}
    for item in old:
        name = item["metadata"]["name"]
        unready = _size(item) - _available(item)
        drop = min(unready, max(removable, 0))
        sizes[name] -= drop
        removable -= drop
    spare = max(sum(_available(item) for item in [current] + old) - (replicas - unavailable), 0)
    for item in old:
        name = item["metadata"]["name"]
        drop = min(sizes[name], spare)
        sizes[name] -= drop
        spare -= drop
    plan.update({item["metadata"]["name"]: sizes[item["metadata"]["name"]] for item in old
                 if sizes[item["metadata"]["name"]] != _size(item)})
    return plan


def _size(item):
    return item["spec"].get("replicas", 0)


def _available(item):
    # A status may lag behind a scale-down: what was given up already does not count.
    return min((item.get("status") or {}).get("availableReplicas", 0), _size(item))


def _number(value, replicas, rounded):
    if isinstance(value, str) and value.endswith("%"):
        return int(rounded(int(value[:-1]) * replicas / 100))
    return int(value)
