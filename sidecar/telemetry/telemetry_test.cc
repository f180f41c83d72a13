#include "sidecar/telemetry/telemetry.h"

#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sidecar/discovery/testing/reactor_run.h"
#include "sidecar/telemetry/exposition.h"
#include "sidecar/telemetry/merge.h"

namespace weft::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

RequestLabels To(std::string_view service) {
  RequestLabels labels;
  labels.source = {"web-v1", "shop", "spiffe://cluster.local/ns/shop/sa/web"};
  labels.destination = {"tea-v1", "shop", "spiffe://cluster.local/ns/shop/sa/tea"};
  labels.service = service;
  labels.response_code = 200;
  labels.security = Security::kMutualTls;
  return labels;
}

std::string Label(const RequestLabels& labels, const std::string& name, bool tcp = false) {
  for (const auto& label : StandardLabels(labels, tcp)) {
    if (label.name == name) return label.value;
  }
  return "(none)";
}

TEST(StandardLabels, AreIstios) {
  RequestLabels labels = To("shop/tea");
  EXPECT_EQ(Label(labels, "reporter"), "source");
  EXPECT_EQ(Label(labels, "source_workload"), "web-v1");
  EXPECT_EQ(Label(labels, "source_workload_namespace"), "shop");
  EXPECT_EQ(Label(labels, "source_principal"), "cluster.local/ns/shop/sa/web");
  EXPECT_EQ(Label(labels, "destination_canonical_service"), "tea-v1");
  EXPECT_EQ(Label(labels, "destination_service"), "tea.shop.svc.cluster.local");
  EXPECT_EQ(Label(labels, "destination_service_name"), "tea");
  EXPECT_EQ(Label(labels, "destination_service_namespace"), "shop");
  EXPECT_EQ(Label(labels, "request_protocol"), "http");
  EXPECT_EQ(Label(labels, "request_protocol", true), "tcp");
  EXPECT_EQ(Label(labels, "response_code"), "200");
  EXPECT_EQ(Label(labels, "response_code", true), "(none)");
  EXPECT_EQ(Label(labels, "response_flags"), "-");
  EXPECT_EQ(Label(labels, "connection_security_policy"), "mutual_tls");

  labels.service = "";
  labels.host = "192.0.2.1";
  labels.destination = {};
  EXPECT_EQ(Label(labels, "destination_service"), "192.0.2.1");
  EXPECT_EQ(Label(labels, "destination_service_name"), "PassthroughCluster");
  EXPECT_EQ(Label(labels, "destination_workload"), "unknown");
}

TEST(Telemetry, AddsTheNumbersOfAllThreadsUp) {
  io::Reactor main_reactor;
  io::Reactor worker_reactor;
  Telemetry telemetry;
  Shard* const here = telemetry.AddShard(&main_reactor);
  Shard* const there = telemetry.AddShard(&worker_reactor);
  telemetry.AddCollector([](std::vector<prometheus::MetricFamily>& families) {
    families.push_back(GaugeFamily("weft_discovery_connected", "Connected.", 1));
  });
  here->Request(To("shop/tea"))->Record(io::kMillisecond, 10, 20);
  here->CountError("access-denied");
  std::thread worker([&] {
    worker_reactor.Bind();
    there->Request(To("shop/tea"))->Record(io::kMillisecond, 10, 20);
    TcpLabels tcp;
    tcp.service = "shop/db";
    there->Tcp(tcp)->Opened();
    there->CountError("access-denied");
    worker_reactor.Run();
  });
  std::string text;
  discovery::RunTask(main_reactor, [](Telemetry* t, std::string* out) -> io::Task<void> {
    *out = *co_await t->Scrape(io::MonotonicNow() + 10 * io::kSecond);
  }(&telemetry, &text));
  worker_reactor.Stop();
  worker.join();
  EXPECT_THAT(text, HasSubstr("# TYPE istio_requests_total counter"));
  EXPECT_THAT(text, HasSubstr("connection_security_policy=\"mutual_tls\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("weft_errors_total{reason=\"access-denied\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("istio_tcp_connections_opened_total{"));
  EXPECT_THAT(text, HasSubstr("weft_discovery_connected 1\n"));
}

TEST(Telemetry, SaysSoWhenAThreadDoesNotAnswer) {
  io::Reactor main_reactor;
  io::Reactor stuck;
  Telemetry telemetry;
  telemetry.AddShard(&stuck);
  absl::Status status;
  discovery::RunTask(main_reactor, [](Telemetry* t, absl::Status* out) -> io::Task<void> {
    *out = (co_await t->Scrape(io::MonotonicNow() + io::kMillisecond)).status();
  }(&telemetry, &status));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
}

TEST(Merge, ASumDoesNotGoBackWhenOneThreadRetiresWhatAnotherStillCounts) {
  Shard one({.idle_limit = 10 * io::kSecond});
  Shard two({.idle_limit = 10 * io::kSecond});
  Merge merge;
  const auto scrape = [&](io::Nanos now) {
    std::vector<std::unique_ptr<ShardSample>> samples;
    samples.push_back(one.Collect(now));
    samples.push_back(two.Collect(now));
    for (auto& sample : samples) merge.TakeRetired(*sample);
    return merge.Sum(std::move(samples));
  };
  const io::Nanos start = io::MonotonicNow();
  one.Request(To("shop/tea"))->Record(1, 1, 1);
  two.Request(To("shop/tea"))->Record(1, 1, 1);
  EXPECT_EQ(scrape(start).requests[0].values.requests, 2u);
  two.Request(To("shop/tea"))->Record(1, 1, 1);
  EXPECT_EQ(scrape(start + 20 * io::kSecond).requests[0].values.requests, 3u);
  two.Request(To("shop/tea"))->Record(1, 1, 1);
  EXPECT_EQ(scrape(start + 25 * io::kSecond).requests[0].values.requests, 4u);
  EXPECT_TRUE(scrape(start + 50 * io::kSecond).requests.empty());
  one.Request(To("shop/tea"))->Record(1, 1, 1);
  EXPECT_EQ(scrape(start + 51 * io::kSecond).requests[0].values.requests, 1u);
}

}  // namespace
}  // namespace weft::telemetry
