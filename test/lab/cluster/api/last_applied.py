"""The annotation of client-side apply, kept true when kubectl goes over to server-side apply."""

import json

_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
# Other managers of fields leave the annotation alone.
_MANAGER = "kubectl"


def follow(manager, obj, config):
    """Sets the annotation of an object that has one to the configuration which `manager` has just applied."""
    annotations = obj["metadata"].get("annotations") or {}
    if manager != _MANAGER or _ANNOTATION not in annotations:
        return
    metadata = {key: value for key, value in config["metadata"].items() if key != "managedFields"}
    if metadata.get("annotations"):
        metadata["annotations"] = {key: value for key, value in metadata["annotations"].items()
                                   if key != _ANNOTATION}
    text = json.dumps({**config, "metadata": metadata}, sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escape)
    obj["metadata"]["annotations"] = {**annotations, _ANNOTATION: text + "\n"}
