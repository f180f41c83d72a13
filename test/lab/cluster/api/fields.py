"""What the built-in types look like: names, types, protobuf numbers and merge keys of their fields.

The tables are in types/*.fields, a file for each API package. A line without indentation starts a type
(`atomic` after its name: server-side apply takes it as a whole), an indented one is a field:

     1 ports []ServicePort merge=port keys=port,protocol

A field has its protobuf number, its JSON name and its type: string, bool, int, float, bytes, Time,
MicroTime, Quantity, IntOrString, Raw (any JSON), FieldsV1, a type of the same package or of another one
(meta.ObjectMeta), each also as list ([]X) or map (map X). `~` in place of the name embeds the fields of a
type. Then flags:

    *            a pointer: absent and zero are different
    !            always written, even if it is zero
    merge[=KEY]  a strategic merge patch merges the list, by key
    retain       ... and drops the fields that the patch does not name
    keys=A,B     server-side apply tells the items of the list apart by these keys
    set          server-side apply takes the list as a set
    atomic       server-side apply takes the field as a whole
"""

import functools
import os

_DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "types")

SCALARS = frozenset(("string", "bool", "int", "float", "bytes", "Time", "MicroTime", "Quantity",
                     "IntOrString"))


class Shape:
    """What may stand at a place of an object: a struct, a map, a list, a scalar or anything.

    Custom resources have shapes too (see schema.py), so that patches and field ownership work alike.
    """
    __slots__ = ("kind", "name", "fields", "item", "keys", "atomic", "merge", "merge_key", "retain",
                 "pointer",
                 "always", "number", "embedded")

    def __init__(self, kind, name=""):
        self.kind = kind  # struct, map, list, scalar or any
        self.name = name  # of the struct or scalar
        self.fields = {}  # of a struct: {JSON name: Shape}
        self.item = None  # of a list or map
        self.keys = ()  # a list with keys: what tells its items apart; ("",) for a set
        self.atomic = False
        self.merge = False
        self.merge_key = ""
        self.retain = False
        self.pointer = False
        self.always = False
        self.number = 0
        self.embedded = []  # of a struct: [(number, Shape)], whose fields are also in `fields`

    def copy(self):
        other = Shape(self.kind, self.name)
        for slot in self.__slots__[2:]:
            setattr(other, slot, getattr(self, slot))
        return other


ANY = Shape("any", "Raw")


@functools.lru_cache(maxsize=None)
def _package(package):
    """({type: rows of its fields}, names of the atomic types)."""
    with open(os.path.join(_DIRECTORY, f"{package}.fields")) as table:
        rows, types, atomic = None, {}, set()
        for line in table:
            if line.startswith("#"):
                continue
            if line.startswith(" "):
                rows.append(line.split())
            else:
                name, *flags = line.split()
                rows = types[name] = []
                if "atomic" in flags:
                    atomic.add(name)
    return types, atomic


_shapes = {}


def struct(package, name):
    """The shape of a type, e.g. struct("core", "Pod")."""
    key = (package, name)
    shape = _shapes.get(key)
    if shape is None:
        # Known before its fields are: types contain themselves. Copies share the fields that come later.
        shape = _shapes[key] = Shape("struct", f"{package}.{name}")
        types, atomic = _package(package)
        shape.atomic = name in atomic
        for row in types[name]:
            _add(shape, package, row)
    return shape


def _add(shape, package, row):
    number, name, *words = row
    expression = []
    while words and (not expression or expression[-1] == "map"):
        expression.append(words.pop(0))
    field = _resolve(package, " ".join(expression)).copy()
    if name == "~":
        shape.embedded.append((int(number), field))
        shape.fields.update(field.fields)
        return
    field.number = int(number)
    for flag in words:
        word, _, value = flag.partition("=")
        if word == "*":
            field.pointer = True
        elif word == "!":
            field.always = True
        elif word == "merge":
            field.merge, field.merge_key = True, value
        elif word == "keys":
            field.keys = tuple(value.split(","))
        elif word == "set":
            field.keys = ("",)
        elif word in ("retain", "atomic"):
            setattr(field, word, True)
        else:
            raise ValueError(f"{package} {row}: unknown flag {flag}")
    shape.fields[name] = field


def _resolve(package, expression):
    for prefix, kind in (("[]", "list"), ("map ", "map")):
        if expression.startswith(prefix):
            shape = Shape(kind)
            shape.item = _resolve(package, expression.removeprefix(prefix))
            return shape
    if expression in SCALARS:
        return Shape("scalar", expression)
    if expression in ("Raw", "FieldsV1"):
        return Shape("any", expression)
    if "." in expression:
        package, expression = expression.split(".")
    return struct(package, expression)
