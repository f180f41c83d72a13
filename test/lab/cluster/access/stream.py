"""A TLS connection that one thread reads while others write.

OpenSSL does not allow two threads inside one connection, so the socket never blocks: each call holds a lock
only as long as OpenSSL works, and waits for the network outside of it.
"""

import select
import ssl
import threading


class Stream:
    """Bytes in and out of a socket (TLS or plain) that somebody has already read `ahead` from."""

    def __init__(self, connection, ahead=b""):
        connection.setblocking(False)
        self._socket = connection
        self._ahead = ahead
        self._lock = threading.Lock()

    def read_exactly(self, count):
        """Raises EOFError when the peer has closed."""
        while len(self._ahead) < count:
            self._ahead += self._receive()
        data, self._ahead = self._ahead[:count], self._ahead[count:]
        return data

    def write(self, data):
        """Sends all; the caller sees to it that one thread writes at a time."""
        view = memoryview(data)
        while view:
            with self._lock:
                sent, awaited = self._attempt(self._socket.send, view)
            if awaited:
                self._wait(awaited)
            else:
                view = view[sent:]

    def peer_has_closed(self):
        """Whether the peer, who has nothing more to say, has ended the connection; never waits."""
        try:
            with self._lock:
                data, awaited = self._attempt(self._socket.recv, 65536)
        except EOFError:
            return True
        if data:
            self._ahead += data
        return not awaited and not data

    def _receive(self):
        while True:
            with self._lock:
                data, awaited = self._attempt(self._socket.recv, 65536)
            if awaited:
                self._wait(awaited)
            elif not data:
                raise EOFError("the peer has closed")
            else:
                return data

    @staticmethod
    def _attempt(operation, argument):
        """(result, 0), or (None, poll event to wait for)."""
        try:
            return operation(argument), 0
        except (ssl.SSLWantReadError, BlockingIOError) as error:
            plain_write = isinstance(error, BlockingIOError) and operation.__name__ == "send"
            return None, select.POLLOUT if plain_write else select.POLLIN
        except ssl.SSLWantWriteError:
            return None, select.POLLOUT
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError) as error:
            raise EOFError(str(error)) from error

    def _wait(self, event):
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise EOFError("closed from this side")
        poll = select.poll()
        poll.register(descriptor, event)
        poll.poll()
