"""One AdmissionReview (admission.k8s.io/v1): what a webhook is asked, its answer, and its faults."""

import base64
import binascii
import json
import uuid

from lab.cluster.access.go_json import decoding_problem, type_word
from lab.cluster.access.webhook_client import CallFailed

_API_VERSION = "admission.k8s.io/v1"


class ReviewFailed(Exception):
    """The webhook was called in vain; the failure policy decides what follows."""


def encode(request):
    """The body, as Go's encoder writes it: compact, HTML escaped, with a line's end."""
    text = json.dumps({"kind": "AdmissionReview", "apiVersion": _API_VERSION, "request": request},
                      separators=(",", ":"), ensure_ascii=False)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"),
                              ("\u2029", "\\u2029")):
        text = text.replace(character, escape)
    return text.encode() + b"\n"


def request_for(admission, resource):
    """The request part of a review; `resource` is in the version that the webhook asks for."""
    asked = admission.resource
    request = {"uid": str(uuid.uuid4()), "kind": _kind(resource), "resource": _resource(resource)}
    if resource.subresource:
        request["subResource"] = resource.subresource
    request["requestKind"], request["requestResource"] = _kind(asked), _resource(asked)
    if asked.subresource:
        request["requestSubResource"] = asked.subresource
    if admission.name:
        request["name"] = admission.name
    if admission.namespace:
        request["namespace"] = admission.namespace
    request["operation"] = admission.operation
    request["userInfo"] = admission.user.info()
    request["object"] = in_version(admission.object, resource)
    request["oldObject"] = in_version(admission.old_object, resource)
    request["dryRun"] = admission.dry_run
    request["options"] = admission.options
    return request


def in_version(stored, resource):
    """The object in the version of `resource`. Custom resources differ in nothing else (conversion None)."""
    if stored is None or resource.subresource:
        return stored
    version = f"{resource.group}/{resource.version}" if resource.group else resource.version
    if stored.get("apiVersion") == version:
        return stored
    return {key: version if key == "apiVersion" else value for key, value in stored.items()}


def decode(reply, uid):
    """The response part of a webhook's answer. Raises ReviewFailed."""
    if reply.status < 200 or reply.status > 299:
        raise _call_failed(_http_problem(reply))
    if not reply.body:
        raise _call_failed(f"0-length response with status code: {reply.status} and content type: "
                           f"{reply.content_type}")
    try:
        review = json.loads(reply.body)
    except (ValueError, RecursionError):
        review = reply.body.decode(errors="replace").strip()
    if not isinstance(review, dict):
        raise _call_failed("couldn't get version/kind; json parse error: json: cannot unmarshal "
                           f"{type_word(review)} into Go value of type struct {{ APIVersion string "
                           '"json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }')
    api_version, kind = review.get("apiVersion", ""), review.get("kind", "")
    group, _, version = str(api_version).rpartition("/")
    if api_version == "admission.k8s.io/v1beta1":
        raise _call_failed("converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion")
    if (api_version, kind) != (_API_VERSION, "AdmissionReview") and api_version:
        raise _call_failed(f'no kind "{kind}" is registered for version "{api_version}" in scheme '
                           '"pkg/runtime/scheme.go:110"')
    response = review.get("response")
    _check_types(response)
    if response is None:
        raise _invalid("webhook response was absent")
    _decode_patch(response)
    if response.get("uid", "") != uid:
        raise _invalid(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    if api_version != _API_VERSION or kind != "AdmissionReview":
        raise _invalid(f"expected webhook response of {_API_VERSION}, Kind=AdmissionReview, got "
                       f"{group}/{version}, Kind={kind}")
    if response.get("patch") and not response.get("patchType"):
        raise _invalid("webhook returned response.patch but not response.patchType")
    if response.get("patchType") and not response.get("patch"):
        raise _invalid("webhook returned response.patchType but not response.patch")
    return response


def patch_of(response):
    """The JSON patch of a response as a list of operations; [] if there is none. Raises ReviewFailed."""
    if not response.get("patch"):
        return []
    text = response["patch"]
    try:
        patch = json.loads(text)
    except RecursionError as error:
        raise _undecodable("exceeded max depth") from error
    except ValueError as error:
        raise _undecodable(decoding_problem(text.decode(errors="replace"))) from error
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise _undecodable(f"json: cannot unmarshal {type_word(patch)} into Go value of type jsonpatch.Patch")
    if response["patchType"] != "JSONPatch":
        raise ReviewFailed(f"unsupported patch type {response['patchType']!r}")
    return patch


# Fields of the response with their types here and in Go.
_FIELDS = {"uid": (str, "types.UID"), "allowed": (bool, "bool"), "status": (dict, "v1.Status"),
           "patch": (str, "[]uint8"), "patchType": (str, "v1.PatchType"), "warnings": (list, "[]string")}


def _check_types(response):
    if response is not None and not isinstance(response, dict):
        raise _wrong_type("response", response, "v1.AdmissionResponse")
    for name, (wanted, go_name) in _FIELDS.items():
        value = (response or {}).get(name)
        if value is not None and not isinstance(value, wanted):
            raise _wrong_type(f"response.{name}", value, go_name)


def _wrong_type(field, value, go_name):
    return _call_failed(f"json: cannot unmarshal {type_word(value)} into Go struct field "
                        f"AdmissionReview.{field} of type {go_name}")


def _decode_patch(response):
    """Replaces the base64 text by its bytes, as a decoder of the whole answer does."""
    if response.get("patch") is None:
        return
    try:
        response["patch"] = base64.b64decode(response["patch"], validate=True)
    except (binascii.Error, ValueError) as error:
        position = next((index for index, character in enumerate(response["patch"])
                         if not (character.isascii() and character.isalnum()) and character not in "+/="),
                        len(response["patch"]))
        raise _call_failed(f"illegal base64 data at input byte {position}") from error


# What a client prints for a status without further explanation.
_HTTP_WORDS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: "forbidden",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    413: "Request entity too large",
    415: "the body of the request was in an unknown format",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the "
         "request",
}


def _http_problem(reply):
    text = reply.body.decode(errors="replace").strip()
    try:
        status = json.loads(text)
        if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
            return status["message"]
    except (ValueError, RecursionError):
        pass
    if reply.status in _HTTP_WORDS:
        return _HTTP_WORDS[reply.status]
    if reply.status >= 500:
        return f'an error on the server ("{text}") has prevented the request from succeeding'
    return f"the server responded with the status code {reply.status} but did not return more information"


def _call_failed(problem):
    return ReviewFailed(f"failed to call webhook: {problem}")


def _invalid(problem):
    return ReviewFailed(f"received invalid webhook response: {problem}")


def _undecodable(problem):
    return ReviewFailed(f"received undecodable patch in webhook response: {problem}")


def call(client, webhook, request):
    """Sends a review and returns the response part of the answer. Raises ReviewFailed."""
    if "v1" not in (webhook.get("admissionReviewVersions") or []):
        raise ReviewFailed("webhook does not accept known AdmissionReview versions (v1)")
    try:
        reply = client.post(webhook["clientConfig"], encode(request), webhook.get("timeoutSeconds") or 10)
    except CallFailed as error:
        raise _call_failed(str(error)) from error
    return decode(reply, request["uid"])


def _kind(resource):
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _resource(resource):
    return {"group": resource.group, "version": resource.version, "resource": resource.resource}
