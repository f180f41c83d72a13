"""gRPC works as without a mesh, whoever made the client and the server, and fails as gRPC does."""

from lab.http2_apps import Peer
from shop import LabTest

MAKES = {"python": "grpc_peer.py", "javascript": "grpc_peer.js"}
GRPC = [{"name": "grpc", "port": 50051}]

EVERYTHING = {
    "unary": "hello", "binary metadata": [True, True, "a, b"], "empty": "", "large": True,
    "server streaming": 1000, "client streaming": "1000000", "bidirectional": [100, "WORD 99"],
    "trailers only": [9, "ünlucky: 100% of it\n"], "late failure": [15, "ünlucky: 100% of it\n"],
    "unknown method": 12, "deadline": 4, "health": "0801",
}
UNAVAILABLE = 14


class GrpcTest(LabTest):

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.web = lab.add_pod("web")
        cls.stranger = lab.add_pod("stranger", namespace="elsewhere", meshed=False)
        cls.servers = {}
        for make in MAKES:
            lab.add_pod(make, ports=(50051,))
            lab.add_service(make, {"app": make}, GRPC)
        cls.plain = lab.add_pod("plain", namespace="elsewhere", meshed=False, ports=(50051,))
        cls.drained = lab.add_pod("drained", ports=(50051,))
        lab.add_service("drained", {"app": "drained"}, GRPC)
        lab.publish()
        for make, program in MAKES.items():
            cls.servers[make] = Peer(lab.pods[make], program).serve(50051)
        Peer(cls.plain, MAKES["python"]).serve(50051)
        lab.start_control_plane()
        lab.start_sidecars()

    def ask(self, pod, make, target):
        self.assertEqual(Peer(pod, MAKES[make]).ask("ask", target), EVERYTHING)

    def test_everything_works_within_the_mesh(self):
        for client in MAKES:
            for server in MAKES:
                with self.subTest(client=client, server=server):
                    self.ask(self.web, client, f"{server}:50051")
        # Each client's deadline has reached its server.
        for server in self.servers.values():
            self.eventually(lambda s=server: s.log().count("cancelled") >= 2, "the cancellations")

    def test_everything_works_from_outside_into_the_mesh(self):
        self.ask(self.stranger, "javascript", f"{self.lab.pods['python'].ip}:50051")
        self.ask(self.stranger, "python", f"{self.lab.pods['javascript'].ip}:50051")

    def test_everything_works_from_the_mesh_to_the_outside(self):
        self.ask(self.web, "python", f"{self.plain.ip}:50051")

    def test_a_client_that_dies_while_it_waits_cancels_its_call(self):
        for make, server in self.servers.items():
            with self.subTest(server=make):
                before = server.log().count("called")
                client = Peer(self.web, MAKES["python"]).start("hang", f"{make}:50051")
                self.eventually(lambda s=server, n=before: s.log().count("called") > n, "the call")
                client.kill()
                self.eventually(lambda s=server, n=before: s.log().count("cancelled") > n,
                                "the cancellation to reach the server")

    def test_a_stream_outlives_the_goaway_of_its_server(self):
        server = Peer(self.drained, MAKES["python"]).serve(50051)
        self.assertEqual(Peer(self.web, MAKES["python"]).ask("drain", "drained:50051"),
                         {"heard": 10})
        # It ends in peace; and now there is nobody, which a gRPC client is told in its own words.
        self.assertEqual(server.wait(), 0)
        code, message = Peer(self.web, MAKES["python"]).ask("fail", "drained:50051")
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("weft: upstream-connect-failure", message)
