#include "sidecar/telemetry/shard.h"

#include <cstdlib>
#include <new>
#include <string>

#include "gtest/gtest.h"
#include "sidecar/telemetry/shard_sample.h"

namespace {

size_t allocations = 0;

}  // namespace

void* operator new(size_t bytes) {
  ++allocations;
  void* block = std::malloc(bytes);
  if (block == nullptr) std::abort();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }

namespace weft::telemetry {
namespace {

RequestLabels To(std::string_view service, uint16_t code = 200) {
  RequestLabels labels;
  labels.source = {"web-v1", "shop", "spiffe://cluster.local/ns/shop/sa/web"};
  labels.destination = {"tea-v1", "shop", "spiffe://cluster.local/ns/shop/sa/tea"};
  labels.service = service;
  labels.response_code = code;
  return labels;
}

TEST(Shard, FindsOneSeriesPerSetOfLabels) {
  Shard shard({});
  const RequestSeriesRef ok = shard.Request(To("shop/tea"));
  EXPECT_EQ(shard.Request(To("shop/tea")).get(), ok.get());
  EXPECT_NE(shard.Request(To("shop/tea", 503)).get(), ok.get());
  EXPECT_NE(shard.Request(To("shop/coffee")).get(), ok.get());
}

TEST(Shard, FindsAnExistingSeriesAndRecordsWithoutAllocation) {
  Shard shard({});
  {
    // The labels' memory may go: the series has its own.
    const std::string service = "shop/tea-with-a-name-that-is-not-kept-inline";
    shard.Request(To(service));
  }
  const std::string service = "shop/tea-with-a-name-that-is-not-kept-inline";
  const size_t before = allocations;
  shard.Request(To(service))->Record(3 * io::kMillisecond, 10, 20);
  EXPECT_EQ(allocations, before);
}

TEST(Shard, CountsIntoBuckets) {
  Shard shard({});
  const RequestSeriesRef series = shard.Request(To("shop/tea"));
  series->Record(io::kMillisecond / 2, 0, 64);           // both on their bounds
  series->Record(3 * io::kMillisecond, 65, 1);           // up to 5 ms
  series->Record(7200 * io::kSecond, 0, 2'000'000'000);  // beyond the last bounds
  const RequestValues& values = series->values();
  EXPECT_EQ(values.requests, 3u);
  EXPECT_EQ(values.duration.buckets[0], 1u);
  EXPECT_EQ(values.duration.buckets[2], 1u);
  EXPECT_EQ(values.duration.buckets.back(), 1u);
  EXPECT_EQ(values.request_bytes.buckets[0], 2u);
  EXPECT_EQ(values.request_bytes.buckets[1], 1u);
  EXPECT_EQ(values.response_bytes.buckets[0], 2u);
  EXPECT_EQ(values.response_bytes.buckets.back(), 1u);
  EXPECT_DOUBLE_EQ(values.response_bytes.sum, 2'000'000'065.0);
}

TEST(Shard, RecordsWhatFindsNoRoomInOneSeriesPerReporter) {
  Shard shard({.max_series = 2});
  shard.Request(To("shop/a"));
  shard.Request(To("shop/b"));
  const RequestSeriesRef c = shard.Request(To("shop/c"));
  const RequestSeriesRef d = shard.Request(To("shop/d"));
  EXPECT_EQ(c.get(), d.get());
  RequestLabels inbound = To("shop/e");
  inbound.reporter = Reporter::kDestination;
  EXPECT_NE(shard.Request(inbound).get(), c.get());
  const auto sample = shard.Collect(0);
  EXPECT_EQ(sample->requests.size(), 4u);
  for (const NamedSample& named : sample->named) {
    if (named.name == "weft_telemetry_overflow_total") EXPECT_EQ(named.value, 3);
  }
}

TEST(Shard, RetiresASeriesThatIsIdleAndWasScrapedAndThatNobodyHolds) {
  Shard shard({.idle_limit = 10 * io::kSecond});
  const io::Nanos start = io::MonotonicNow();
  shard.Request(To("shop/tea"))->Record(1, 1, 1);
  const RequestSeriesRef held = shard.Request(To("shop/held"));
  // Long idle, but never scraped.
  EXPECT_FALSE(shard.Collect(start + 100 * io::kSecond)->requests[0].retired);
  EXPECT_EQ(shard.Collect(start + 105 * io::kSecond)->requests.size(), 2u);
  const auto last = shard.Collect(start + 120 * io::kSecond);
  ASSERT_EQ(last->requests.size(), 2u);
  for (const auto& request : last->requests) {
    EXPECT_EQ(request.retired, request.labels->request().service == "shop/tea");
  }
  const auto after = shard.Collect(start + 121 * io::kSecond);
  ASSERT_EQ(after->requests.size(), 1u);
  EXPECT_EQ(after->requests[0].labels->request().service, "shop/held");
}

TEST(Shard, AReferenceOutlivesTheShard) {
  RequestSeriesRef series;
  {
    Shard shard({});
    series = shard.Request(To("shop/tea"));
  }
  series->Record(1, 1, 1);
  EXPECT_EQ(series->values().requests, 1u);
}

TEST(Shard, GivesTheSameCounterForTheSameNameAndLabels) {
  Shard shard({});
  Counter* const in = shard.Counter("weft_connections_total", "Connections.", {{"side", "in"}});
  EXPECT_EQ(shard.Counter("weft_connections_total", "Connections.", {{"side", "in"}}), in);
  EXPECT_NE(shard.Counter("weft_connections_total", "Connections.", {{"side", "out"}}), in);
  for (int i = 0; i < 1000; ++i) shard.CountError("reason-" + std::to_string(i));
  in->Add(3);
  EXPECT_EQ(shard.Counter("weft_connections_total", "Connections.", {{"side", "in"}})->value(), 3u);
}

}  // namespace
}  // namespace weft::telemetry
