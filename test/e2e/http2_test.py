"""HTTP/2 as RFC 9113 has it, towards a sidecar, and what a hostile client gains: nothing."""

from lab import http2_cases
from lab.http2_apps import Http2Nginx
from shop import HTTP, LabTest


class Http2Test(LabTest):

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.web = lab.add_pod("web")
        cls.pot = lab.add_pod("pot", ports=(80,))
        cls.service = lab.add_service("tea", {"app": "pot"}, HTTP)
        lab.publish()
        cls.pot.app = Http2Nginx(cls.pot, "tea")
        cls.pot.app.wait_until_listening()
        lab.start_control_plane()
        lab.start_sidecars()

    def connected(self):
        """A socket of the application in web to the service: what answers is its sidecar."""
        return self.web.net.connect(self.service.cluster_ips[0], 80)

    def run_cases(self, cases, greet):
        for name, said, expected in cases:
            with self.subTest(case=name):
                wrong = http2_cases.try_case(self.connected(), said, expected, greet)
                self.assertIsNone(wrong)

    def test_every_frame_and_field_is_taken_as_the_rfcs_ask(self):
        self.run_cases(http2_cases.CASES, greet=True)

    def test_a_connection_begins_with_its_preface(self):
        self.run_cases(http2_cases.OPENINGS, greet=False)
