"""The far end of `kubectl port-forward`: SPDY streams in pairs, each pair a TCP connection to a pod's port.

For every local connection the client opens two streams with the same `requestid`: an error stream, on which
only we write, and a data stream. Both end when the pod's side has ended; what went wrong is told on the error
stream.
"""

import queue
import socket
import threading

from lab.cluster.access import spdy

PROTOCOL = "portforward.k8s.io"
TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"

# What the client may have sent that the pod has not taken yet, in frames (of 32 KiB from kubectl).
_QUEUED_FRAMES = 64
_MAXIMUM_STREAMS = 1024
_PIECE = 32 * 1024


class _Pair:
    """The two streams of one forwarded connection, and the connection."""

    def __init__(self, port):
        self.port = port
        self.error_stream = None
        self.data_stream = None
        self.to_pod = queue.Queue(_QUEUED_FRAMES)  # bytes; None: the client has ended its side
        self.socket = None

    def complete(self):
        return self.error_stream is not None and self.data_stream is not None


class PortForward:
    """One session. `dial(port)` returns a connected socket or raises OSError.

    serve() reads until the client is gone and then ends every connection; each connection has two threads.
    """

    def __init__(self, connection, dial, log=lambda message: None):
        self._connection = connection
        self._dial = dial
        self._log = log
        self._pairs = {}          # by requestid, until both streams are there
        self._by_data_stream = {}
        self._lock = threading.Lock()

    def serve(self):
        try:
            while self._take(*self._connection.read()):
                pass
        except (EOFError, OSError):
            pass  # the client is gone: the usual end
        except spdy.ProtocolError as error:
            self._log(f"port-forward: {error}")
        finally:
            with self._lock:
                pairs, self._by_data_stream = list(self._by_data_stream.values()), {}
            for pair in pairs:
                _end(pair)

    def _take(self, kind, stream, flags, content):
        """Acts on a frame; false when the session is over."""
        if kind == "syn":
            self._open(stream, content)
        elif kind in ("data", "reset"):
            with self._lock:
                pair = self._by_data_stream.get(stream)
            if pair and kind == "reset":
                self._forget(pair)
                _end(pair)
            elif pair:
                if content:
                    pair.to_pod.put(content)
                if flags & spdy.FLAG_FIN:
                    pair.to_pod.put(None)
        return kind != "goaway"

    def _open(self, stream, headers):
        kind, request = headers.get("streamtype"), headers.get("requestid")
        port = headers.get("port", "")
        valid = port.isdigit() and 0 < int(port) < 65536
        if kind not in ("error", "data") or request is None or not valid:
            self._log(f"port-forward: a stream with headers {headers}")
            self._connection.reset(stream, spdy.CANCEL)
            return
        if len(self._by_data_stream) + len(self._pairs) >= _MAXIMUM_STREAMS:
            self._connection.reset(stream, spdy.CANCEL)
            return
        self._connection.reply(stream)
        pair = self._pairs.setdefault(request, _Pair(int(port)))
        if kind == "error":
            pair.error_stream = stream
        else:
            pair.data_stream = stream
            with self._lock:
                self._by_data_stream[stream] = pair
        if pair.complete():
            del self._pairs[request]
            threading.Thread(target=self._forward, args=(pair,), daemon=True).start()

    def _forward(self, pair):
        try:
            pair.socket = self._dial(pair.port)
        except OSError as error:
            self._end_streams(pair, str(error).encode())
            self._forget(pair)
            return
        writer = threading.Thread(target=_write_to_pod, args=(pair,), daemon=True)
        writer.start()
        try:
            while piece := pair.socket.recv(_PIECE):
                self._connection.send(pair.data_stream, piece)
        except (OSError, EOFError):
            pass  # told to the client, if there still is one, as an end; kubelet does so too
        self._end_streams(pair)
        self._forget(pair)
        _end(pair)
        writer.join()
        pair.socket.close()

    def _end_streams(self, pair, error=b""):
        try:
            self._connection.send(pair.error_stream, error, fin=True)
            self._connection.send(pair.data_stream, b"", fin=True)
        except (OSError, EOFError):
            pass  # the session is gone

    def _forget(self, pair):
        with self._lock:
            self._by_data_stream.pop(pair.data_stream, None)


def _write_to_pod(pair):
    try:
        while (piece := pair.to_pod.get()) is not None:
            pair.socket.sendall(piece)
        pair.socket.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the pod has closed; the reading thread tells the client


def _end(pair):
    """Closes the connection to the pod and lets both threads of the pair finish."""
    if pair.socket is not None:
        try:
            pair.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    while True:
        try:
            pair.to_pod.put_nowait(None)
            return
        except queue.Full:
            try:
                pair.to_pod.get_nowait()
            except queue.Empty:
                pass
