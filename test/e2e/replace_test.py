"""A new sidecar takes over from the one that runs in its pod, and nobody on the wire notices."""

import os
import signal
import socket
import threading

from lab.load import Load
from lab.namespace import APPLICATION_UID, SIDECAR_UID
from shop import HTTP, ShopTest

TCP = [{"name": "tcp-echo", "port": 7000}]
GRPC = [{"name": "grpc", "port": 50051}]

# gRPC without generated code: messages are bytes, and every method sends back what it gets.
_GRPC_SERVER = """
import concurrent.futures, grpc
class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method == "/echo/stream":
            return grpc.stream_stream_rpc_method_handler(lambda messages, context: messages)
        return grpc.unary_unary_rpc_method_handler(lambda message, context: message)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[Echo()])
server.add_insecure_port("[::]:50051")
server.start()
print("serving", flush=True)
server.wait_for_termination()
"""

# Calls one after another, and a stream that stays open, until SIGTERM; then tells how it went.
_GRPC_CLIENT = """
import grpc, signal, threading
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
channel = grpc.insecure_channel("grpc:50051")
call, stream = channel.unary_unary("/echo/call"), channel.stream_stream("/echo/stream")
good, bad, echoed = 0, [], 0
turn = threading.Semaphore(0)
def messages():
    while not ended.is_set():
        turn.acquire()
        yield b"message"
answers = stream(messages())
while not ended.is_set():
    try:
        assert call(b"hello", timeout=20) == b"hello"
        good += 1
        if good % 50 == 0:
            print("going", flush=True)
    except grpc.RpcError as error:
        bad.append(str(error))
    turn.release()
    echoed += next(answers) == b"message"
turn.release()
rest = sum(1 for _ in answers)
print(f"good={good > 0} bad={bad} echoed={echoed == good and rest <= 1}", flush=True)
"""


class Requests:
    """A client of one keep-alive connection that asks now and then; counts what is not answered."""

    def __init__(self, pod, address, host):
        self._socket = pod.net.connect(address, 80)
        self._socket.settimeout(20)
        self._file = self._socket.makefile("rb")
        self._host = host

    def ask(self):
        self._socket.sendall(f"GET / HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        status = self._file.readline().split()
        length, closes = 0, False
        while (line := self._file.readline().strip()):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            closes |= name.lower() == b"connection" and b"close" in value
        self._file.read(length)
        return int(status[1]), closes


class ReplaceTest(ShopTest):
    replicas = 2

    @classmethod
    def extend(cls):
        cls.echo = cls.lab.add_pod("echo", ports=(7000,))
        cls.lab.add_service("echo", {"app": "echo"}, TCP)
        server = cls.echo.net.listen("0.0.0.0", 7000)
        cls.addClassCleanup(server.close)
        threading.Thread(target=cls.serve_echo, args=(server,), daemon=True).start()
        cls.grpc = cls.lab.add_pod("grpc", ports=(50051,))
        cls.lab.add_service("grpc", {"app": "grpc"}, GRPC)
        cls.grpc_server = cls.grpc.net.start("server", ["/usr/bin/python3", "-c", _GRPC_SERVER],
                                             uid=APPLICATION_UID)
        cls.slow = cls.lab.add_pod("slow", ports=(80,))
        cls.lab.add_service("slow", {"app": "slow"}, HTTP)
        cls.slow.start_recorder().wait_until_listening()

    @staticmethod
    def serve_echo(server):
        def one(connection):
            with connection:
                while (data := connection.recv(4096)):
                    connection.sendall(data)

        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def start_successor(self, pod, *flags):
        """The pod's sidecar once more, with --replace; `pod.sidecar` stays what it is."""
        argv = pod.sidecar.argv
        argv = argv[argv.index("--") + 1:]
        for flag in set(flags) & set(argv):
            del argv[argv.index(flag):argv.index(flag) + 2]
        return pod.net.start("successor", [*argv, "--replace", *flags], uid=SIDECAR_UID)

    def address_of(self, service):
        return self.lab.services[f"shop/{service}"].cluster_ips[0]

    def replace(self, pod, *flags):
        """Returns the one that went; `pod.sidecar` is the new one."""
        old, new = pod.sidecar, self.start_successor(pod, *flags)
        self.eventually(lambda: new.check_running() and "took over" in new.log(), "the takeover", 20)
        pod.sidecar = new
        return old

    def assert_goes(self, old):
        self.assertEqual(old.wait(40), 0, old.log()[-2000:])
        self.assertNotIn("did not finish in time", old.log())

    def test_both_sides_are_replaced_under_load_without_a_failed_request(self):
        load = Load(self.web, "http://tea.1/", connections=16)
        backend = self.tea_1[0]
        for pod in (backend, self.web, backend, self.web):
            start = backend.app.served()
            self.eventually(lambda: backend.app.served() > start + 300, "the load to be on", 20)
            old = self.replace(pod)
            self.assert_goes(old)
        start = backend.app.served()
        self.eventually(lambda: backend.app.served() > start + 300, "the load to go on", 20)
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)

    def test_idle_connections_of_clients_go_on_at_the_successor(self):
        clients = [Requests(self.web, self.address_of("tea.2"), "tea.2") for _ in range(20)]
        for client in clients:
            self.assertEqual(client.ask(), (200, False))
        old = self.replace(self.web)
        # They do not keep it, for they are not its own any more.
        self.assert_goes(old)
        for client in clients:
            self.assertEqual(client.ask(), (200, False))

    def test_opaque_connections_live_on_until_they_end(self):
        connection = self.web.net.connect(self.address_of("echo"), 7000)
        connection.settimeout(20)

        def echoes(text):
            connection.sendall(text)
            self.assertEqual(connection.recv(100), text)

        echoes(b"before")
        old = [self.replace(pod) for pod in (self.web, self.echo)]
        for _ in range(20):
            echoes(b"meanwhile")
        self.assertTrue(all(sidecar.running() for sidecar in old))
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(100), b"")
        for sidecar in old:
            self.assert_goes(sidecar)

    def test_grpc_calls_go_on_and_a_stream_stays_where_it_is(self):
        self.eventually(lambda: "serving" in self.grpc_server.log(), "the gRPC server", 20)
        client = self.web.net.start("client", ["/usr/bin/python3", "-c", _GRPC_CLIENT],
                                    uid=APPLICATION_UID)
        old = []
        for pod in (self.grpc, self.web):
            going = client.log().count("going")
            self.eventually(lambda: client.check_running() and client.log().count("going") > going,
                            "calls", 20)
            old.append(self.replace(pod))
        going = client.log().count("going")
        self.eventually(lambda: client.check_running() and client.log().count("going") > going,
                        "more calls", 20)
        self.assertTrue(old[1].running())
        client.signal(signal.SIGTERM)
        self.assertEqual(client.wait(), 0, client.log())
        self.assertEqual(client.log().splitlines()[-1], "good=True bad=[] echoed=True")
        for sidecar in old:
            self.assert_goes(sidecar)

    def test_a_request_under_way_is_answered_by_the_one_that_took_it(self):
        outcome = {}
        begun = self.slow.app.process.log().count("began")
        thread = threading.Thread(target=lambda: outcome.update(
            done=self.web.curl("--fail", "http://slow/delay/2", check=False)))
        thread.start()
        self.addCleanup(thread.join)
        self.eventually(lambda: self.slow.app.process.log().count("began") > begun,
                        "the request to reach the application")
        old = [self.replace(pod) for pod in (self.web, self.slow)]
        thread.join(20)
        self.assertEqual(outcome["done"].returncode, 0, outcome["done"].stderr)
        for sidecar in old:
            self.assert_goes(sidecar)

    def test_whoever_cannot_take_over_leaves_the_running_one_in_service(self):
        pod = self.tea_2[0]
        running = pod.sidecar
        empty = os.path.join(pod.directory, "empty-token")
        with open(empty, "w") as file:
            file.write("not-a-token\n")
        os.chmod(empty, 0o644)
        for name, flags, code, complaint in (
                ("an unknown flag", ("--no-such-flag",), 2, "--no-such-flag"),
                ("no certificate", ("--join-token-file", empty, "--replace-timeout", "1500ms"), 1,
                 "not ready after 1.5s: no certificate yet"),
                ("other addresses", ("--outbound-port", "15101"), 1, "same addresses"),
                ("no memory of its trust", ("--trust-bundle", "/no/such/file"), 1, "/no/such/file")):
            with self.subTest(name):
                attempt = self.start_successor(pod, *flags)
                self.assertEqual(attempt.wait(20), code, attempt.log()[-1000:])
                self.assertIn(complaint, attempt.log())
                self.assertTrue(running.running())
                pod.wait_until_ready()
        self.assertEqual(self.answers("http://tea.2/", count=20), {"tea.2": 20})

    def test_a_successor_that_dies_before_it_is_ready_changes_nothing(self):
        pod = self.tea_2[1]
        hanging = self.start_successor(pod, "--control-plane", "10.244.0.1:9")
        self.eventually(lambda: "a successor is getting ready" in pod.sidecar.log(), "the greeting")
        second = self.start_successor(pod)
        self.assertEqual(second.wait(20), 1)
        self.assertIn("another one is taking over", second.log())
        hanging.kill()
        self.eventually(lambda: "going on" in pod.sidecar.log(), "the old one to go on")
        # And it can be replaced still.
        self.assert_goes(self.replace(pod))
        self.assertEqual(self.answers("http://tea.2/", count=20), {"tea.2": 20})

    def test_a_successor_serves_if_the_old_one_dies_meanwhile(self):
        pod = self.slow
        self.lab.control_plane.kill()
        successor = self.start_successor(pod)
        self.eventually(lambda: "getting ready" in pod.sidecar.log(), "the greeting")
        pod.sidecar.kill()
        pod.sidecar = successor
        self.lab.control_plane.start()
        pod.wait_until_ready(30)
        self.assertIn("died before it could hand over", successor.log())
        self.eventually(lambda: self.web.status_of("http://slow/") == 200, "an answer")

    def test_a_second_sidecar_in_a_pod_is_refused_and_the_first_of_all_may_say_replace(self):
        pod = self.slow
        argv = [word for word in pod.sidecar.argv if word != "--replace"]
        second = pod.net.start("second", argv[argv.index("--") + 1:], uid=SIDECAR_UID)
        self.assertEqual(second.wait(20), 1)
        self.assertIn("a sidecar runs in this pod already", second.log())
        pod.sidecar.stop()
        pod.sidecar = self.start_successor(pod)
        pod.wait_until_ready()

    def test_the_application_can_not_take_over(self):
        with open(os.path.join(self.web.directory, "knock.py"), "w") as script:
            script.write("import socket\n"
                         "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                         "s.connect('\\0weft-sidecar-15006')\n"
                         "try:\n"
                         "    s.send(b'take-over 1 0')\n"
                         "    print(s.recv(100))\n"
                         "except OSError:\n"
                         "    print(b'')\n")
        done = self.web.run(["/usr/bin/python3", script.name])
        self.assertEqual(done.stdout.strip(), "b''")
        self.eventually(lambda: "turned away" in self.web.sidecar.log(), "the log to tell")
        self.assertTrue(self.web.sidecar.running())
