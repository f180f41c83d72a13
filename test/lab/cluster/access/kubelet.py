"""Ways into pods: the subresources that an API server hands on to the kubelet of the pod's node."""

from lab.cluster.access import network, spdy, websocket
from lab.cluster.access.errors import bad_request, not_found
from lab.cluster.access.port_forward import PROTOCOL, TUNNEL_PROTOCOL, PortForward
from lab.cluster.access.stream import Stream
from lab.cluster.api.interfaces import StatusError


class Kubelet:
    """`node_namespace` is the node's network namespace, or "" where pods are reached without one."""

    def __init__(self, cluster, node_namespace, log):
        self._cluster = cluster
        self._node_namespace = node_namespace
        self._log = log

    def handlers(self):
        """As Access.handlers()."""
        return {("", "pods", "portforward"): self.port_forward}

    def port_forward(self, call):
        """Takes the connection over, for a WebSocket that carries SPDY or for SPDY itself."""
        pod = self._running_pod(call)
        upgrade = call.headers.get("upgrade", "").lower()
        if upgrade == "websocket":
            offered = _listed(call.headers.get("sec-websocket-protocol", ""))
            if TUNNEL_PROTOCOL not in offered or "sec-websocket-key" not in call.headers:
                raise bad_request(f"unable to upgrade: the WebSocket protocol must be {TUNNEL_PROTOCOL}")
            stream = _take_over(call, {
                "Upgrade": "websocket", "Connection": "Upgrade",
                "Sec-WebSocket-Accept": websocket.accept_key(call.headers["sec-websocket-key"]),
                "Sec-WebSocket-Protocol": TUNNEL_PROTOCOL})
            socket = websocket.WebSocket(stream.read_exactly, stream.write)
            self._serve(spdy.Connection(socket.read_exactly, socket.send), pod)
            socket.close()
        elif upgrade == "spdy/3.1":
            if PROTOCOL not in _listed(call.headers.get("x-stream-protocol-version", PROTOCOL)):
                raise StatusError(403, "Forbidden", f"unable to upgrade: the stream protocol must be {PROTOCOL}")
            stream = _take_over(call, {"Upgrade": "SPDY/3.1", "Connection": "Upgrade",
                                       "X-Stream-Protocol-Version": PROTOCOL})
            self._serve(spdy.Connection(stream.read_exactly, stream.write), pod)
        else:
            raise bad_request("Upgrade request required")

    def _serve(self, connection, pod):
        PortForward(connection, lambda port: self._dial(pod, port), self._log).serve()

    def _dial(self, pod, port):
        """A connection to a port of the pod, from inside its own network namespace as a kubelet makes it."""
        address = pod["status"]["podIP"]
        if not self._node_namespace:
            return network.connect("", address, port)
        inside = network.namespace_with_address(address, self._node_namespace.rpartition("-")[0] + "-")
        try:
            return network.connect(inside, "127.0.0.1", port) if inside else network.connect(
                self._node_namespace, address, port)
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            raise OSError(f"error forwarding port {port} to pod {pod['metadata']['name']}, uid "
                          f"{pod['metadata']['uid']}: failed to connect to localhost:{port} inside namespace "
                          f'"{inside or self._node_namespace}": dial tcp4 127.0.0.1:{port}: connect: {words}') from error

    def _running_pod(self, call):
        pod = self._cluster.get("", "pods", call.namespace, call.name)
        if pod is None:
            raise not_found("", "pods", call.name)
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {call.name} does not have a host assigned")
        if not (pod.get("status") or {}).get("podIP"):
            raise StatusError(500, "", f"error dialing backend: pod {call.name} has no address yet")
        return pod


def _take_over(call, headers):
    """Answers 101 with these headers; the connection as a Stream."""
    head = "HTTP/1.1 101 Switching Protocols\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    stream = Stream(call.connection, call.take_over())
    stream.write((head + "\r\n").encode())
    return stream


def _listed(header):
    return [value.strip() for value in header.split(",")]
