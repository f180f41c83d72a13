"""What a tool says to people: steps, ticks and tables; colours only where somebody sees them."""

import os
import sys
import time

_COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ
_UNICODE = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
_TICK, _CROSS = ("✓", "✗") if _UNICODE else ("ok", "FAILED")


class StepFailed(Exception):
    """Something did not turn out as it must; the message says what was seen instead."""


def _paint(code, text):
    return f"\033[{code}m{text}\033[0m" if _COLOURED else text


def bold(text):
    return _paint("1", text)


def dim(text):
    return _paint("2", text)


def title(text):
    print(f"\n{bold(text)}", flush=True)


def say(text=""):
    for line in text.splitlines() or [""]:
        print(f"    {line}".rstrip(), flush=True)


def command(text):
    """A command as a reader could type it."""
    say(dim(f"$ {text}"))


def tick(text, seconds=None):
    after = dim(f"  {seconds:.1f} s") if seconds is not None else ""
    print(f"  {_paint('32', _TICK)} {text}{after}", flush=True)


def cross(text):
    first, *rest = str(text).splitlines() or [""]
    print(f"  {_paint('31', _CROSS)} {first}", flush=True)
    for line in rest:
        say(line)


def check(condition, text, otherwise):
    """A tick if the condition holds, else StepFailed with what was seen."""
    if not condition:
        raise StepFailed(f"{text}: no; {otherwise}")
    tick(text)


class timed:  # pylint: disable=invalid-name
    """A block that ends with a tick and the time it took."""

    def __init__(self, text):
        self._text = text

    def __enter__(self):
        self._start = time.monotonic()

    def __exit__(self, kind, *_):
        if kind is None:
            tick(self._text, time.monotonic() - self._start)


def table(header, rows):
    """Columns as wide as they must be; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    columns = range(len(header))
    widths = [max(len(row[column]) for row in cells) for column in columns]
    numeric = [all(row[column][:1].isdigit() for row in cells[1:]) for column in columns]
    for number, row in enumerate(cells):
        line = "   ".join(row[column].rjust(widths[column]) if numeric[column] else
                          row[column].ljust(widths[column]) for column in columns)
        say(bold(line) if number == 0 else line)
