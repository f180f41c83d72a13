"""HTTP/1 as bytes: an application that keeps what it was sent, a client that reads to the end, and a corpus.

The application reads by the letter and forgives nothing: what it does not understand it keeps as such. It runs
in the test's process, its socket in a pod.
"""

import contextlib
import threading

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request:
    """A complete request as the application got it."""

    def __init__(self, connection, line, fields, body):
        self.connection = connection  # its number
        self.method, self.target, self.version = line.split(" ")
        self.fields = fields  # [(name, value)]
        self.body = body

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name]


class RawApplication:
    """Answers each request with what `answer` makes of it: bytes, or (bytes, True) to close behind them.

    A client that expects 100 is told to go on, or gets what `refuse` makes of the request's target.
    """

    def __init__(self, listener, answer=lambda request: _OK, refuse=lambda target: None):
        self._listener = listener
        self._answer = answer
        self._refuse = refuse
        self.requests = []
        self.malformed = []  # (bytes, why)
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections),
                                 daemon=True).start()

    def _serve(self, connection, number):
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
            connection.settimeout(60)
            while (request := self._read(connection, stream, number)):
                self.requests.append(request)
                answer = self._answer(request)
                answer, close = answer if isinstance(answer, tuple) else (answer, False)
                connection.sendall(answer)
                if close:
                    return

    def _read(self, connection, stream, number):
        """The next request; None at the end, be it in the middle of one."""
        try:
            line = read_line(stream)
            fields = read_fields(stream)
            names = [name.lower() for name, _ in fields]
            if "expect" in names:
                refusal = self._refuse(line.split(" ")[1])
                connection.sendall(refusal or b"HTTP/1.1 100 Continue\r\n\r\n")
                if refusal:
                    # It does not read what it does not want, and leaves it to the client to close.
                    connection.recv(1)
                    return None
            if "transfer-encoding" in names:
                if "content-length" in names:
                    raise ValueError("framed twice")
                body = b"".join(read_chunks(stream))
            else:
                lengths = [value for name, value in fields if name.lower() == "content-length"]
                body = stream.read(int(lengths[0])) if lengths else b""
                if lengths and (len(lengths) > 1 or len(body) < int(lengths[0])):
                    raise EOFError
            return Request(number, line, fields, body)
        except EOFError:
            return None
        except (ValueError, OverflowError) as error:
            self.malformed.append(str(error))
            return None


def read_line(stream):
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
        raise ValueError(f"a line that is none: {line}")
    return line[:-2].decode("latin-1")


def read_fields(stream):
    fields = []
    while (line := read_line(stream)):
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise ValueError(f"a field that is none: {line}")
        fields.append((name, value.strip(" \t")))
    return fields


def read_chunks(stream):
    while (size := int(read_line(stream), 16)):
        piece = stream.read(size)
        if len(piece) < size:
            raise EOFError
        yield piece
        if read_line(stream):
            raise ValueError("a chunk longer than its size")
    read_fields(stream)


class Response:
    """What a client got: complete is False if it was broken off."""

    def __init__(self, status=0, fields=(), body=b"", complete=False):
        self.status, self.fields, self.body, self.complete = status, list(fields), body, complete

    def value(self, name):
        return next((value for field, value in self.fields if field.lower() == name), None)

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:200]} {'' if self.complete else 'broken off'}"


def read_response(stream, to_head=False):
    """The final response, after any informational ones."""
    response = Response()
    try:
        while response.status < 200:
            response = Response(int(read_line(stream).split(" ")[1]), read_fields(stream))
        if to_head or response.status in (204, 304):
            pass
        elif response.value("transfer-encoding") is not None:
            for piece in read_chunks(stream):
                response.body += piece
        elif response.value("content-length") is not None:
            response.body = stream.read(int(response.value("content-length")))
            if len(response.body) < int(response.value("content-length")):
                return response
        else:
            response.body = stream.read()
        response.complete = True
    except (EOFError, ConnectionError, TimeoutError):
        pass
    return response


def read_corpus(path):
    """[(verdict, name, body, bytes)] of a file of sidecar/http/h1/testdata."""
    rows = []
    with open(path, encoding="ascii") as file:
        for line in file:
            if not line.strip() or line.startswith("#"):
                continue
            head, *texts = line.rstrip("\n").split(" | ", 2 if line.startswith(("200 ", "reused ", "closed ")) else 1)
            verdict, name = head.split(" ")
            texts = [text.encode().decode("unicode_escape").encode("latin-1") for text in texts]
            rows.append((verdict, name, texts[0] if len(texts) == 2 else b"", texts[-1]))
    return rows
