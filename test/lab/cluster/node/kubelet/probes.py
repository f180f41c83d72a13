"""Probes: sent from the node to the pod's address, as a kubelet sends them."""

import http.client
import socket
import ssl
import subprocess
import threading

_USER_AGENT = "kube-probe/1.34"
_EAGER_SECONDS = 0.5
_SERVING = b"\x00\x00\x00\x00\x02\x08\x01"  # a gRPC message: HealthCheckResponse{status: SERVING}


class ProbeFailed(Exception):
    """The probe was answered, or not answered, in a way that means failure; the message is for an event."""


def port_number(container, port):
    """A port of a probe or hook, which may be the name of one of the container's ports."""
    if isinstance(port, int):
        return port
    for held in container.get("ports") or ():
        if held.get("name") == port:
            return held["containerPort"]
    if str(port).isdigit():
        return int(port)
    raise ProbeFailed(f"couldn't find port: {port}")


def http_get(action, container, ip, timeout, agent=_USER_AGENT):
    """(status, body) of an httpGet action. Raises ProbeFailed if no answer comes."""
    host = action.get("host") or ip
    port = port_number(container, action["port"])
    scheme = action.get("scheme", "HTTP").lower()
    headers = {"User-Agent": agent, "Accept": "*/*", "Connection": "close"}
    for header in action.get("httpHeaders") or ():
        headers[header["name"]] = header["value"]
    if scheme == "https":
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    path = action.get("path") or "/"
    try:
        connection.request("GET", path if path.startswith("/") else f"/{path}", headers=headers)
        response = connection.getresponse()
        return response.status, response.read(10 * 1024).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise ProbeFailed(f'Get "{scheme}://{_address(host, port)}{path}": {error or type(error).__name__}') \
            from error
    finally:
        connection.close()


def run_probe(probe, container, ip, execute):
    """Runs one probe to its end. `execute(argv, timeout)` runs a command in the container and returns its
    CompletedProcess. Raises ProbeFailed."""
    timeout = probe.get("timeoutSeconds", 1)
    if "httpGet" in probe:
        status, _ = http_get(probe["httpGet"], container, ip, timeout)
        if not 200 <= status < 400:
            raise ProbeFailed(f"HTTP probe failed with statuscode: {status}")
    elif "tcpSocket" in probe:
        host = probe["tcpSocket"].get("host") or ip
        port = port_number(container, probe["tcpSocket"]["port"])
        try:
            socket.create_connection((host, port), timeout).close()
        except OSError as error:
            raise ProbeFailed(f"dial tcp {_address(host, port)}: {error}") from error
    elif "grpc" in probe:
        _grpc(probe["grpc"], ip, timeout)
    elif "exec" in probe:
        try:
            done = execute(probe["exec"]["command"], timeout)
        except subprocess.TimeoutExpired as error:
            raise ProbeFailed(f"command timed out after {timeout}s") from error
        if done.returncode != 0:
            raise ProbeFailed(f"command failed with code {done.returncode}: {done.stdout[-500:]}")


def _grpc(action, ip, timeout):
    """grpc.health.v1.Health/Check, spoken by curl: HTTP/2 without TLS."""
    service = (action.get("service") or "").encode()
    message = (b"\x0a" + bytes([len(service)]) + service) if service else b""
    try:
        done = subprocess.run(
            ["curl", "-sS", "--http2-prior-knowledge", "--max-time", str(timeout), "-A", _USER_AGENT,
             "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-",
             f"http://{_address(ip, action['port'])}/grpc.health.v1.Health/Check"],
            input=b"\x00" + len(message).to_bytes(4, "big") + message, capture_output=True,
            timeout=timeout + 2, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProbeFailed(f"timeout: health rpc did not complete within {timeout}s") from error
    if done.returncode != 0 or done.stdout != _SERVING:
        detail = done.stderr.decode(errors="replace").strip() or "the service does not say SERVING"
        raise ProbeFailed(f"service unhealthy (responded with {detail!r})")


def _address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Prober:
    """One probe of one run of a container, in a thread of its own.

    `report(success, message)` is called when the outcome changes: once the threshold of successes or failures
    in a row is reached.
    """

    def __init__(self, name, probe, check, report, tell, eager=False):
        """`check()` raises ProbeFailed; `tell(message)` gets every single failure. `eager`: asks more often
        than it is told to until the first success, for those who wait for it."""
        self._eager = eager
        self._probe = probe
        self._check = check
        self._report = report
        self._tell = tell
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stopped.set()

    def _run(self):
        if self._stopped.wait(self._probe.get("initialDelaySeconds", 0)):
            return
        period = self._probe.get("periodSeconds", 10)
        thresholds = {True: self._probe.get("successThreshold", 1),
                      False: self._probe.get("failureThreshold", 3)}
        known, last, streak = None, None, 0
        while not self._stopped.is_set():
            message = ""
            try:
                self._check()
                success = True
            except ProbeFailed as error:
                success, message = False, str(error)
            if self._stopped.is_set():
                return
            if not success:
                self._tell(message)
            streak = streak + 1 if success == last else 1
            last = success
            if streak >= thresholds[success] and success != known:
                known = success
                self._report(success, message)
            pause = min(period, _EAGER_SECONDS) if self._eager and not known else period
            if self._stopped.wait(pause):
                return
