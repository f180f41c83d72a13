"""What the mesh tells about itself: health, metrics, configuration, meshctl."""

import json

from lab import CommandFailed
from shop import BETA, ShopTest, canary, split


class ObservabilityTest(ShopTest):
    replicas = 2

    def meshctl(self, *arguments, check=True):
        return self.lab.control_plane.meshctl(*arguments, check=check)

    def json(self, *arguments):
        return json.loads(self.meshctl(*arguments, "-o", "json").stdout)

    def with_canary(self):
        self.apply(*canary())
        self.eventually(lambda: self.web.get("http://tea.1/", [BETA]) == "tea.2", "the canary")

    def test_health_is_served_to_the_kubelet(self):
        for path in ("ready", "live"):
            self.assertEqual(
                int(self.lab.node.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                       f"http://{self.web.ip}:15021/healthz/{path}"]).stdout), 200)

    def test_the_admin_port_is_on_loopback_only(self):
        self.assertTrue(self.web.admin("/config_dump"))
        self.assertEqual(self.tea_1[0].status_of(f"http://{self.web.ip}:15000/config_dump"), 0)

    def test_the_configuration_dump_shows_what_is_subscribed(self):
        for address in self.lab.services["shop/tea.1"].cluster_ips:
            self.web.net.connect(address, 80).close()
            self.eventually(lambda a=address: a in self.web.admin("/config_dump"), f"{address} in it")
        dump = self.web.admin("/config_dump")
        json.loads(dump)
        self.assertIn("spiffe://cluster.local/ns/shop/sa/web", dump)

    def test_metrics_count_requests_by_the_names_that_dashboards_know(self):
        def count():
            total = 0.0
            for line in self.web.metrics().splitlines():
                if line.startswith("istio_requests_total{") and 'reporter="source"' in line and \
                        'destination_service_name="tea.1"' in line and 'response_code="200"' in line:
                    total += float(line.rsplit(" ", 1)[1])
            return total

        before = count()
        self.answers(count=25)
        self.eventually(lambda: count() == before + 25, "25 more requests counted")
        self.assertIn("istio_request_duration_milliseconds_bucket", self.web.metrics())
        # As in Istio, the receiving side knows for sure how the connection was secured.
        for line in self.tea_1[0].metrics().splitlines():
            if line.startswith("istio_requests_total{") and 'source_workload="web"' in line:
                self.assertIn('reporter="destination"', line)
                self.assertIn('connection_security_policy="mutual_tls"', line)
                break
        else:
            self.fail("tea-1-a counts no request from web")

    def test_control_plane_metrics_are_served(self):
        done = self.lab.node.run(["curl", "-sS", "--fail",
                                  f"http://{self.lab.control_plane.http_address}/metrics"])
        self.assertIn("weft_", done.stdout)

    def test_meshctl_status_counts_the_mesh(self):
        status = self.json("status")
        self.assertEqual(status["connectedProxies"], 5)
        self.assertEqual(status["services"], 3)
        self.assertEqual(status["trustDomain"], "cluster.local")
        self.assertIn("cluster.local", self.meshctl("status").stdout)

    def test_meshctl_proxies_lists_every_sidecar_in_sync(self):
        listed = self.json("proxies")["proxies"]
        self.assertEqual(sorted(proxy["id"] for proxy in listed),
                         sorted(pod.id for pod in self.lab.pods.values()))
        self.eventually(lambda: all(proxy.get("inSync") for proxy in self.json("proxies")["proxies"]),
                        "all in sync")

    def test_meshctl_services_and_splits(self):
        self.with_canary()
        table = self.meshctl("services").stdout
        for service in ("tea.1", "tea.2"):
            self.assertIn(service, table)
        splits = self.json("splits")["splits"]
        self.assertEqual(len(splits), 1)
        self.assertEqual(splits[0]["rootService"], "tea.1")
        self.assertTrue(splits[0]["accepted"])
        self.assertIn("tea-canary", self.meshctl("splits").stdout)
        self.assertIn("tea-canary", self.meshctl("splits", "-o", "yaml").stdout)

    def test_a_backend_that_does_not_exist_is_reported(self):
        self.apply(split({"tea.1": 50, "tea.9": 50}))
        self.eventually(lambda: "tea.9" in self.meshctl("status").stdout, "meshctl to name tea.9")

    def test_meshctl_explains_the_route_that_a_request_takes(self):
        self.with_canary()
        cases = [(["-H", "cookie: version=beta"], "tea.2"), ([], "tea.1")]
        for headers, backend in cases:
            with self.subTest(headers=headers):
                explained = self.meshctl("routes", "explain", "--from", "shop/web", *headers,
                                         "http://tea.1/").stdout
                self.assertIn(backend, explained)
                self.assertEqual(self.web.get("http://tea.1/", headers[1:]), backend)

    def test_meshctl_config_shows_what_a_sidecar_was_sent(self):
        self.web.curl("-4", "http://tea.1/")
        self.assertIn("Destination", self.meshctl("config", "shop/web").stdout)
        self.assertIn(self.lab.services["shop/tea.1"].cluster_ips[0],
                      self.meshctl("config", "shop/web", "-o", "json").stdout)

    def test_programs_explain_themselves_and_refuse_unknown_flags(self):
        for name in ("meshctl", "weft-control-plane", "weft-init", "weft-sidecar"):
            with self.subTest(program=name):
                self.assertGreater(len(self.lab.node.run([self.lab.binary(name), "--help"]).stdout),
                                   200)
                self.assertTrue(self.lab.node.run([self.lab.binary(name), "--version"]).stdout.strip())
                with self.assertRaises(CommandFailed) as failed:
                    self.lab.node.run([self.lab.binary(name), "--no-such-flag"])
                self.assertIn("--no-such-flag", str(failed.exception))
