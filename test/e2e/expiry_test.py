"""An authority that is away for longer than certificates live: new connections fail in words, and all mends itself."""

import re

from shop import ShopTest


class ExpiryTest(ShopTest):

    control_plane_flags = ("--leaf-lifetime", "4s")

    def seconds_left(self, pod):
        return float(re.search(r"(?m)^weft_certificate_seconds_left (\S+)", pod.metrics()).group(1))

    def test_expired_certificates_are_refused_in_words_and_renewed_when_the_authority_is_back(self):
        self.lab.control_plane.kill()
        for pod in (self.web, *self.tea_1, *self.tea_2):
            self.eventually(lambda p=pod: self.seconds_left(p) < 0, "the certificate to expire", 20)
        # A connection that stands goes on; the worker that has none must open one.
        answers = []

        def refused():
            answers.append(self.web.curl("-i", "http://tea.1/").stdout)
            return "expired" in answers[-1].lower()

        self.eventually(refused, "a new connection to be refused", 20)
        self.assertIn("503 Service Unavailable", answers[-1])
        self.assertRegex(answers[-1], "weft-error: upstream-(identity|connect-failure)")
        self.lab.control_plane.start()
        for pod in (self.web, *self.tea_1):
            self.eventually(lambda p=pod: self.seconds_left(p) > 0, "a new certificate", 30)
        self.eventually(lambda: self.web.status_of("http://tea.1/") == 200, "tea.1 to answer", 30)
