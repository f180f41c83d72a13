"""OpenAPI v2 in protobuf, the little that kubectl still asks it for: whether the server checks fields.

For all kinds but `List` kubectl looks into OpenAPI v3. For lists it wants to see here that PATCH of a
Namespace takes `fieldValidation`, and leaves the checking to the server then.
"""

CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

# Numbers of the fields in openapiv2.proto (gnostic).
_DOCUMENT_SWAGGER, _DOCUMENT_INFO, _DOCUMENT_PATHS = 1, 2, 8
_INFO_TITLE, _INFO_VERSION = 1, 2
_PATHS_PATH = 2
_NAMED_NAME, _NAMED_VALUE = 1, 2
_ITEM_PATCH = 8
_OPERATION_PARAMETERS, _OPERATION_EXTENSION = 8, 13
_PARAMETERS_PARAMETER = 1
_PARAMETER_NON_BODY = 2
_NON_BODY_QUERY = 3
_QUERY_IN, _QUERY_NAME = 2, 4
_ANY_YAML = 2


def document():
    """The document's bytes."""
    query = _text(_QUERY_IN, "query") + _text(_QUERY_NAME, "fieldValidation")
    parameter = _bytes(_PARAMETERS_PARAMETER, _bytes(_PARAMETER_NON_BODY, _bytes(_NON_BODY_QUERY, query)))
    kind = _bytes(_NAMED_VALUE, _text(_ANY_YAML, "group: \"\"\nkind: Namespace\nversion: v1\n"))
    extension = _text(_NAMED_NAME, "x-kubernetes-group-version-kind") + kind
    patch = _bytes(_OPERATION_PARAMETERS, parameter) + _bytes(_OPERATION_EXTENSION, extension)
    path = _text(_NAMED_NAME, "/api/v1/namespaces/{name}") + _bytes(_NAMED_VALUE, _bytes(_ITEM_PATCH, patch))
    info = _text(_INFO_TITLE, "Kubernetes") + _text(_INFO_VERSION, "v1.34.0")
    return (_text(_DOCUMENT_SWAGGER, "2.0") + _bytes(_DOCUMENT_INFO, info) +
            _bytes(_DOCUMENT_PATHS, _bytes(_PATHS_PATH, path)))


def _text(number, text):
    return _bytes(number, text.encode())


def _bytes(number, content):
    """A field of the length-delimited wire type."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    encoded = b""
    while value > 0x7f:
        encoded += bytes([value & 0x7f | 0x80])
        value >>= 7
    return encoded + bytes([value])
