"""What Go's encoding/json says of text that is no JSON, as far as users of webhooks get to see it."""

import json

_LITERALS = {"t": "true", "f": "false", "n": "null"}


def type_word(value):
    """Go's word for the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {dict: "object", list: "array", str: "string"}.get(type(value), "null")


def decoding_problem(text):
    """Why `text` is no JSON."""
    text = text.lstrip(" \t\r\n")
    if not text:
        return "unexpected end of JSON input"
    literal = _LITERALS.get(text[0])
    if literal:
        for position, expected in enumerate(literal):
            if position >= len(text):
                return "unexpected end of JSON input"
            if text[position] != expected:
                return f"invalid character '{text[position]}' in literal {literal} (expecting '{expected}')"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text):
            return "unexpected end of JSON input"
        if error.msg == "Extra data":
            return f"invalid character '{text[error.pos]}' after top-level value"
        return f"invalid character '{text[error.pos]}' looking for beginning of value"
    return ""
