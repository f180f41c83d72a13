#include "sidecar/route/rule.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/route/testing.h"

namespace weft::route {
namespace {

// One rule whose backends have these weights; backend i is the service "s/<i>". A negative weight
// stands for that weight on a backend that does not exist.
std::shared_ptr<const Destination> WithWeights(const std::vector<int64_t>& weights) {
  weft::v1::Destination message;
  weft::v1::Rule* rule = message.add_rules();
  for (size_t i = 0; i < weights.size(); ++i) {
    weft::v1::WeightedBackend* backend = rule->add_backends();
    backend->set_service("s/" + std::to_string(i));
    backend->set_weight(std::abs(weights[i]));
    if (weights[i] >= 0) backend->set_endpoints("s/" + std::to_string(i) + ":80");
  }
  auto destination = Destination::Compile("x", message);
  EXPECT_TRUE(destination.ok()) << destination.status();
  return *destination;
}

size_t IndexOf(const Rule& rule, const Backend* backend) { return backend - rule.backends.data(); }

// Five standard deviations of a binomial distribution.
double Tolerance(double draws, double share) { return 5 * std::sqrt(draws * share * (1 - share)); }

TEST(PickBackendTest, FollowsTheRatioOfTheWeights) {
  const std::vector<std::vector<int64_t>> splits = {
      {90, 10},     {50, 50},  {1, 1, 1},
      {0, 100},     {100, 0},  {1, 999},
      {3, 0, 5, 7}, {70, -30}, {1000000007, 998244353}};
  Random random(99);
  for (const std::vector<int64_t>& weights : splits) {
    const auto destination = WithWeights(weights);
    const Rule& rule = *destination->MatchTcp();
    double total = 0;
    for (const int64_t weight : weights) total += weight > 0 ? static_cast<double>(weight) : 0;
    constexpr int kDraws = 200'000;
    std::vector<int> counts(weights.size());
    for (int i = 0; i < kDraws; ++i) ++counts[IndexOf(rule, PickBackend(rule, random()))];
    for (size_t i = 0; i < weights.size(); ++i) {
      const double share = weights[i] > 0 ? static_cast<double>(weights[i]) / total : 0;
      EXPECT_NEAR(counts[i], kDraws * share, Tolerance(kDraws, share)) << "backend " << i;
    }
  }
}

TEST(PickBackendTest, CutsTheRangeOfRandomNumbersExactly) {
  const auto destination = WithWeights({1, 3});
  const Rule& rule = *destination->MatchTcp();
  constexpr uint64_t kQuarter = uint64_t{1} << 62;
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, 0)), 0u);
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, kQuarter - 1)), 0u);
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, kQuarter)), 1u);
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, ~uint64_t{0})), 1u);
}

TEST(PickBackendTest, WorksForWeightsOfAnySize) {
  weft::v1::Destination message;
  weft::v1::Rule* proto = message.add_rules();
  for (const uint64_t weight : {~uint64_t{0} - 1, uint64_t{1}}) {
    weft::v1::WeightedBackend* backend = proto->add_backends();
    backend->set_endpoints("e" + std::to_string(weight));
    backend->set_weight(weight);
  }
  const auto destination = Destination::Compile("x", message);
  ASSERT_TRUE(destination.ok());
  const Rule& rule = *(*destination)->MatchTcp();
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, 0)), 0u);
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, ~uint64_t{0} - 1)), 0u);
  EXPECT_EQ(IndexOf(rule, PickBackend(rule, ~uint64_t{0})), 1u);
}

TEST(PickBackendTest, NothingToPickIsNullWithAReason) {
  const std::vector<std::pair<std::vector<int64_t>, std::string>> cases = {
      {{}, "the rule has no backends"},
      {{0}, "all backends have weight 0"},
      {{0, 0}, "all backends have weight 0"},
      {{-1}, "no backend with a weight exists and has the port"},
      {{0, -5}, "no backend with a weight exists and has the port"},
  };
  Random random(3);
  for (const auto& [weights, why] : cases) {
    const auto destination = WithWeights(weights);
    const Rule& rule = *destination->MatchTcp();
    EXPECT_EQ(PickBackend(rule, random()), nullptr);
    EXPECT_EQ(PickLiveBackend(rule, random, [](const Backend&) { return true; }), nullptr);
    EXPECT_EQ(WhyNoBackend(rule), why);
  }
}

TEST(PickLiveBackendTest, DeadBackendsLeaveTheirPartToTheLiveInTheirRatio) {
  const auto destination = WithWeights({10, 20, 30, 0, -40});
  const Rule& rule = *destination->MatchTcp();
  Random random(5);
  constexpr int kDraws = 200'000;
  std::map<size_t, int> counts;
  for (int i = 0; i < kDraws; ++i) {
    const Backend* backend =
        PickLiveBackend(rule, random, [&](const Backend& b) { return IndexOf(rule, &b) != 2; });
    ASSERT_NE(backend, nullptr);
    ++counts[IndexOf(rule, backend)];
  }
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts[0], kDraws / 3.0, Tolerance(kDraws, 1.0 / 3));
  EXPECT_NEAR(counts[1], kDraws * 2 / 3.0, Tolerance(kDraws, 2.0 / 3));
}

TEST(PickLiveBackendTest, NeverFallsBackToABackendOfWeightZero) {
  const auto destination = WithWeights({0, 100});
  const Rule& rule = *destination->MatchTcp();
  Random random(6);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(
        PickLiveBackend(rule, random, [&](const Backend& b) { return IndexOf(rule, &b) == 0; }),
        nullptr);
  }
  EXPECT_EQ(WhyNoBackend(rule), "no backend with a weight has a live endpoint");
}

}  // namespace
}  // namespace weft::route
