"""Requests are shared out by weight, as exactly as chance allows."""

import math

from lab.load import exact_requests
from shop import ShopTest, split

_REQUESTS = 20000
_Z = 5  # standard deviations: a correct balancer fails once in 1.7 million runs


class WeightsTest(ShopTest):

    def shares(self, weights):
        """Requests that each backend served of _REQUESTS under the weights."""
        self.apply(split(weights))
        wanted = {f"shop/{service}": weight for service, weight in weights.items()}
        self.eventually(lambda: (seen := self.web.weights("shop/tea.1")) and
                        all(held == wanted for held in seen), f"weights {weights} to be in force")
        path = "/counted-" + "-".join(map(str, weights.values()))
        self.assertEqual(exact_requests(self.web, f"http://tea.1{path}", _REQUESTS), _REQUESTS)

        def counts():
            return [pods[0].app.served(path) for pods in (self.tea_1, self.tea_2)]

        # nginx writes its log after it has answered.
        self.eventually(lambda: sum(counts()) >= _REQUESTS, "the last lines of the logs")
        self.assertEqual(sum(counts()), _REQUESTS, "every request was served exactly once")
        return counts()

    def check(self, weights):
        total = sum(weights.values())
        share = weights["tea.2"] / total
        allowed = _Z * math.sqrt(_REQUESTS * share * (1 - share))
        counts = self.shares(weights)
        self.assertLessEqual(abs(counts[1] - _REQUESTS * share), allowed,
                             f"{counts} for {weights}; {allowed:.0f} off is allowed")

    def test_90_to_10(self):
        self.check({"tea.1": 90, "tea.2": 10})

    def test_weights_are_ratios(self):
        self.check({"tea.1": 2, "tea.2": 1})

    def test_a_weight_of_zero_gets_nothing(self):
        self.assertEqual(self.shares({"tea.1": 0, "tea.2": 100}), [0, _REQUESTS])

    def test_a_small_weight_is_not_forgotten(self):
        self.check({"tea.1": 999, "tea.2": 1})
