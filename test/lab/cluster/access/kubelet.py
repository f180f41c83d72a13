"""Ways into pods: the subresources that an API server hands on to the kubelet of the pod's node."""

import json

from lab.cluster.access import container_log, network, spdy, websocket
from lab.cluster.access.container_exec import PROTOCOLS, Execution
from lab.cluster.access.errors import bad_request, not_found
from lab.cluster.access.port_forward import PROTOCOL, TUNNEL_PROTOCOL, PortForward
from lab.cluster.access.stream import Stream
from lab.cluster.api.interfaces import Answer, StatusError
from lab.cluster.node import layout


class Kubelet:
    """`node_namespace` is the node's network namespace, or "" where pods are reached without one.

    `node_directory` has the node's files (node/layout.py), or is "" if there is no node."""

    def __init__(self, cluster, node_namespace, node_directory, log):
        self._cluster = cluster
        self._node_namespace = node_namespace
        self._node_directory = node_directory
        self._log = log

    def handlers(self):
        """As Access.handlers()."""
        return {("", "pods", "portforward"): self.port_forward, ("", "pods", "exec"): self.execute,
                ("", "pods", "log"): self.container_log}

    def port_forward(self, call):
        """Takes the connection over, for a WebSocket that carries SPDY or for SPDY itself."""
        pod = self._assigned_pod(call)
        if not (pod.get("status") or {}).get("podIP"):
            raise StatusError(500, "", f"error dialing backend: pod {call.name} has no address yet")
        if call.headers.get("upgrade", "").lower() != "spdy/3.1":
            socket = _web_socket(call, (TUNNEL_PROTOCOL,))
            self._forward(spdy.Connection(socket.read_exactly, socket.send), pod)
            socket.close()
            return
        if PROTOCOL not in _listed(call.headers.get("x-stream-protocol-version", PROTOCOL)):
            raise StatusError(403, "Forbidden", f"unable to upgrade: the stream protocol must be {PROTOCOL}")
        stream = _take_over(call, "101 Switching Protocols", {
            "Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": PROTOCOL})
        self._forward(spdy.Connection(stream.read_exactly, stream.write), pod)

    def _forward(self, connection, pod):
        PortForward(connection, lambda port: self._dial(pod, port), self._log).serve()

    def _dial(self, pod, port):
        """A connection to a port of the pod, from inside its own network namespace as a kubelet makes it."""
        address, metadata = pod["status"]["podIP"], pod["metadata"]
        if not self._node_namespace:
            return network.connect("", address, port)
        state = self._state(pod) or {}
        inside = state.get("netns") or network.namespace_with_address(
            address, self._node_namespace.rpartition("-")[0] + "-")
        try:
            if inside is None:
                return network.connect(self._node_namespace, address, port)
            return network.connect(inside, "127.0.0.1", port)
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            raise OSError(f"error forwarding port {port} to pod {metadata['name']}, uid {metadata['uid']}: "
                          f"failed to connect to localhost:{port} inside namespace "
                          f'"{inside or self._node_namespace}": dial tcp4 127.0.0.1:{port}: connect: {words}'
                          ) from error

    def execute(self, call):
        """Takes the connection over, for a WebSocket with channels."""
        pod = self._assigned_pod(call)
        command = call.query.get("command") or []
        if not command:
            raise bad_request("you must specify at least 1 command")
        container = self._container_state(call, pod)
        if not container["pid"]:
            raise StatusError(500, "InternalError", "Internal error occurred: unable to upgrade connection: "
                              f'container not found ("{_container_name(call, pod)}")')
        socket = _web_socket(call, PROTOCOLS)
        Execution(socket, [*container["enter"], *command], _environment_of(container),
                  tty=_flag(call, "tty"), with_stdin=_flag(call, "stdin")).run()
        socket.close()

    def container_log(self, call):
        """What the container has printed; takes the connection over to follow what it prints."""
        pod = self._assigned_pod(call)
        if _flag(call, "timestamps") or "sinceSeconds" in call.query or "sinceTime" in call.query:
            raise bad_request("the lab keeps no times of log lines: timestamps and since are not supported")
        container, previous = self._container_state(call, pod), _flag(call, "previous")
        path = container["previous_log" if previous else "log"]
        if path is None and not previous:
            raise _waiting(call, pod)
        if path is None:
            raise bad_request(f'previous terminated container "{_container_name(call, pod)}" in pod '
                              f'"{call.name}" not found')
        tail, limit = _number(call, "tailLines"), _number(call, "limitBytes")
        if not _flag(call, "follow"):
            return Answer(200, container_log.read(path, tail, limit), "text/plain")
        stream = _take_over(call, "200 OK", {"Content-Type": "text/plain", "Transfer-Encoding": "chunked",
                                             "Connection": "close"})

        def write(piece):
            if stream.peer_has_closed():
                raise OSError("the client is gone")
            if piece:
                stream.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

        try:
            container_log.follow(path, tail, lambda: self._prints(call, pod, path), write)
            stream.write(b"0\r\n\r\n")
        except (OSError, EOFError):
            pass  # nobody listens any more
        return None

    def _prints(self, call, pod, path):
        """Whether a container may still write to its log."""
        state = self._state(pod)
        container = state["containers"].get(_container_name(call, pod)) if state else None
        return bool(container) and container["log"] == path and bool(container["pid"])

    def _assigned_pod(self, call):
        pod = self._cluster.get("", "pods", call.namespace, call.name)
        if pod is None:
            raise not_found("", "pods", call.name)
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {call.name} does not have a host assigned")
        return pod

    def _state(self, pod):
        """What the node tells of the pod (node/layout.py); None if it does not run it."""
        if not self._node_directory:
            return None
        metadata = pod["metadata"]
        state = layout.read_state(self._node_directory, metadata["namespace"], metadata["name"])
        return state if state and state["uid"] == metadata["uid"] else None

    def _container_state(self, call, pod):
        name = _container_name(call, pod)
        state = self._state(pod)
        if state is None or name not in state["containers"]:
            raise _waiting(call, pod)
        return state["containers"][name]


def _container_name(call, pod):
    """The container that the query names, or the only one."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    asked = (call.query.get("container") or [""])[0]
    if not asked and len(names) > 1:
        raise bad_request(f"a container name must be specified for pod {call.name}, choose one of: "
                          f"[{' '.join(names)}]")
    known = names + [container["name"] for container in pod["spec"].get("initContainers") or []]
    if asked and asked not in known:
        raise bad_request(f"container {asked} is not valid for pod {call.name}")
    return asked or names[0]


def _waiting(call, pod):
    return bad_request(f'container "{_container_name(call, pod)}" in pod "{call.name}" is waiting to start: '
                       "ContainerCreating")


def _web_socket(call, protocols):
    """Accepts the upgrade to a WebSocket with one of the protocols, the client's first choice."""
    offered = [each for each in _listed(call.headers.get("sec-websocket-protocol", "")) if each in protocols]
    if call.headers.get("upgrade", "").lower() != "websocket" or "sec-websocket-key" not in call.headers:
        raise bad_request("Upgrade request required")
    if not offered:
        raise bad_request(f"unable to upgrade: the WebSocket protocol must be one of {', '.join(protocols)}")
    stream = _take_over(call, "101 Switching Protocols", {
        "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Accept": websocket.accept_key(call.headers["sec-websocket-key"]),
        "Sec-WebSocket-Protocol": offered[0]})
    return websocket.WebSocket(stream.read_exactly, stream.write)


def _take_over(call, status, headers):
    """Answers with this head; the connection as a Stream."""
    stream = Stream(call.connection, call.take_over())
    lines = [f"HTTP/1.1 {status}"] + [f"{name}: {value}" for name, value in headers.items()]
    stream.write("\r\n".join(lines + ["", ""]).encode())
    return stream


def _environment_of(container):
    """{name: value} of the container's first program, as it was started."""
    with open(container["environment"]) as file:
        return json.load(file)


def _listed(header):
    return [value.strip() for value in header.split(",")]


def _flag(call, name):
    return (call.query.get(name) or ["false"])[0] in ("true", "1", "")


def _number(call, name):
    text = (call.query.get(name) or [None])[0]
    if text is None:
        return None
    if not text.isdigit():
        raise bad_request(f"{name}: a whole number is expected, not {text!r}")
    return int(text)
