"""A canary by cookie: the scenario that must always work."""

from lab.load import exact_requests
from shop import BETA, ShopTest, add_tea, canary, route_group, split


class CanaryTest(ShopTest):
    replicas = 2

    @classmethod
    def extend(cls):
        # A version that nobody has deployed: a Service without pods.
        add_tea(cls.lab, 3, replicas=0)

    def wait_for_canary(self):
        self.eventually(lambda: self.web.get("http://tea.1/", [BETA]) == "tea.2",
                        "the canary to be in force")

    def test_without_a_split_everyone_reaches_tea_1(self):
        self.assertEqual(self.answers(count=50), {"tea.1": 50})
        self.assertEqual(self.answers(headers=[BETA], count=50), {"tea.1": 50})
        self.assertEqual(self.answers("http://tea.2/"), {"tea.2": 10})

    def test_the_cookie_reaches_tea_2_and_everyone_else_tea_1(self):
        self.apply(*canary())
        self.wait_for_canary()
        cases = [
            ([BETA], "tea.2"),
            (["cookie: a=b; version=beta; c=d"], "tea.2"),
            (["Cookie: version=beta"], "tea.2"),
            (["COOKIE: version=beta"], "tea.2"),
            ([], "tea.1"),
            (["cookie: version=alpha"], "tea.1"),
            (["cookie: Version=Beta"], "tea.1"),
            (["x-cookie: version=beta"], "tea.1"),
            (["cookie;"], "tea.1"),
        ]
        for headers, expected in cases:
            with self.subTest(headers=headers):
                self.assertEqual(self.answers(headers=headers), {expected: 10})

    def test_each_request_of_one_connection_is_decided_by_itself(self):
        self.apply(*canary())
        self.wait_for_canary()
        arguments = []
        for number in range(20):
            arguments += [] if number == 0 else ["--next"]
            arguments += ["-sS", "--max-time", "20"]
            arguments += ["-H", BETA] if number % 2 else []
            arguments += ["http://tea.1/"]
        self.assertEqual(self.web.curl(*arguments).stdout.split(), ["tea.1", "tea.2"] * 10)

    def test_it_holds_for_every_name_and_both_address_families(self):
        self.apply(*canary())
        self.wait_for_canary()
        for name in ("tea.1", "tea.1.shop", "tea.1.shop.svc", "tea.1.shop.svc.cluster.local"):
            for family in ("-4", "-6"):
                with self.subTest(name=name, family=family):
                    url = f"http://{name}/"
                    self.assertEqual(self.web.curl(family, "-H", BETA, url).stdout, "tea.2\n")
                    self.assertEqual(self.web.curl(family, url).stdout, "tea.1\n")

    def test_every_pod_of_a_version_gets_its_part(self):
        self.apply(*canary())
        self.wait_for_canary()
        before = [pod.app.served() for pod in self.tea_1 + self.tea_2]
        # Several at once: one at a time, the fastest pod may rightly get them all.
        for headers in ((), (BETA,)):
            self.assertEqual(exact_requests(self.web, "http://tea.1/", 2000, headers=headers), 2000)
        for pod, served in zip(self.tea_1 + self.tea_2, before):
            self.assertGreater(pod.app.served(), served, pod.name)

    def test_the_other_version_and_the_common_service_are_not_affected(self):
        self.apply(*canary())
        self.wait_for_canary()
        self.assertEqual(self.answers("http://tea.2/"), {"tea.2": 10})
        self.assertEqual(set(self.answers("http://tea/", count=100)), {"tea.1", "tea.2"})

    def test_taking_the_manifest_away_ends_the_canary(self):
        self.lab.manifests.write("canary.yaml", canary())
        self.wait_for_canary()
        self.lab.manifests.delete("canary.yaml")
        self.eventually(lambda: self.answers(headers=[BETA]) == {"tea.1": 10}, "the canary to end")

    def test_a_file_that_does_not_parse_keeps_what_was_good(self):
        self.apply(*canary())
        self.wait_for_canary()
        self.lab.manifests.write("canary.yaml", "apiVersion: [unclosed\n")
        self.eventually(lambda: "canary.yaml" in self.lab.control_plane.meshctl("status").stdout,
                        "meshctl to name the file")
        self.assertEqual(self.answers(headers=[BETA]), {"tea.2": 10})
        self.lab.manifests.write("canary.yaml", canary())
        self.eventually(lambda: "canary.yaml" not in self.lab.control_plane.meshctl("status").stdout,
                        "the finding to go")

    def test_a_backend_without_pods_is_an_answer_that_says_so(self):
        self.apply(route_group(), split({"tea.3": 100}, matches=["tea-beta"]))
        self.eventually(lambda: self.web.status_of("http://tea.1/", "-H", BETA) == 503,
                        "503 for the empty backend")
        headers = self.web.curl("-o", "/dev/null", "-D", "-", "-H", BETA, "http://tea.1/").stdout
        self.assertIn("weft-error: no-healthy-upstream", headers.lower())
        self.assertEqual(self.answers(), {"tea.1": 10})

    def test_weights_that_are_all_zero_are_503_and_never_a_wrong_backend(self):
        self.apply(split({"tea.1": 0, "tea.2": 0}))
        self.eventually(lambda: self.web.status_of("http://tea.1/") == 503, "503")
        self.assertEqual(self.answers("http://tea.2/"), {"tea.2": 10})
