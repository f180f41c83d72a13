"""Request bodies in Kubernetes' protobuf form, decoded to what they would be in JSON.

The envelope is `k8s\\0` and a runtime.Unknown; the fields of the types are those of fields.py.
"""

import base64
import json
import struct as packing
import time

from lab.cluster.api.statuses import bad_request

MAGIC = b"k8s\0"


class Malformed(Exception):
    """Bytes that are no message of the type."""


def decode(data, shape_of):
    """The object in an envelope. `shape_of(api_version, kind)` finds its type, or None."""
    try:
        if not data.startswith(MAGIC):
            raise Malformed("no envelope")
        envelope = dict(_messages(data[len(MAGIC):]))
        type_meta = dict(_messages(envelope.get(1, b"")))
        api_version, kind = (type_meta.get(number, b"").decode() for number in (1, 2))
        shape = shape_of(api_version, kind)
        if shape is None:
            raise bad_request(f'no kind "{kind}" is registered for version "{api_version}"')
        obj = {"kind": kind, "apiVersion": api_version}
        obj.update(_struct(envelope.get(2, b""), shape))
        return obj
    except (Malformed, UnicodeDecodeError, IndexError, packing.error) as error:
        raise bad_request(f"the protobuf body cannot be decoded: {error}") from None


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise Malformed("varint too long")


def _messages(data):
    """(field number, value) in order: ints for varints, bytes for everything else."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at:at + size], at + size
        elif wire == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise Malformed(f"wire type {wire}")
        if at > len(data):
            raise Malformed("truncated")
        yield number, value


def _struct(data, shape):
    names = {field.number: (name, field) for name, field in shape.fields.items()
             if not any(name in embedded.fields for _, embedded in shape.embedded)}
    embedded = dict(shape.embedded)
    obj = {}
    for number, value in _messages(data):
        if number in embedded:
            obj.update(_struct(value, embedded[number]))
            continue
        if number not in names:
            continue
        name, field = names[number]
        if field.kind == "list":
            obj.setdefault(name, []).append(_value(value, field.item))
        elif field.kind == "map":
            entry = dict(_messages(value))
            key = entry.get(1, b"").decode()
            obj.setdefault(name, {})[key] = _value(entry.get(2, b""), field.item)
        else:
            decoded = _value(value, field)
            # A field that is no pointer is written even if it is not set.
            if field.pointer or field.always or decoded not in ("", 0, False, None, {}):
                obj[name] = decoded
    return obj


def _value(value, shape):
    if shape.kind == "struct":
        return _struct(value, shape)
    if shape.kind == "list":
        return [_value(item, shape.item) for _, item in _messages(value)]
    if shape.kind == "any":
        raw = dict(_messages(value)).get(1, b"")
        return json.loads(raw) if raw else None
    return _SCALARS[shape.name](value)


def _integer(value):
    if not isinstance(value, int):
        return int.from_bytes(value, "little", signed=True)
    return value - (1 << 64) if value >= 1 << 63 else value


def _int_or_string(value):
    fields = dict(_messages(value))
    return fields.get(3, b"").decode() if fields.get(1) else _integer(fields.get(2, 0))


def _time(value):
    fields = dict(_messages(value))
    if 1 not in fields or not fields[1]:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_integer(fields[1])))


def _micro_time(value):
    fields = dict(_messages(value))
    whole = _time(value)
    return whole and f"{whole[:-1]}.{_integer(fields.get(2, 0)) // 1000:06d}Z"


_SCALARS = {
    "string": lambda value: value.decode() if value else "",
    "bytes": lambda value: base64.b64encode(value or b"").decode(),
    "bool": bool,
    "int": _integer,
    "float": lambda value: packing.unpack("<d", value)[0],
    "Quantity": lambda value: dict(_messages(value)).get(1, b"").decode(),
    "IntOrString": _int_or_string,
    "Time": _time,
    "MicroTime": _micro_time,
}
