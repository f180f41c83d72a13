// Nanoseconds and allocations per decision: match, and match with the choice of a backend.
//   bazel run //sidecar/route:match_benchmark
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "benchmark/benchmark.h"
#include "google/protobuf/text_format.h"
#include "sidecar/http/headers.h"
#include "sidecar/route/destination.h"

namespace {
std::atomic<uint64_t> allocations = 0;
}  // namespace

void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace weft::route {
namespace {

constexpr std::string_view kBackends = R"pb(
  backends { service: "shop/tea.1" endpoints: "shop/tea.1:80" weight: 90 }
  backends { service: "shop/tea.2" endpoints: "shop/tea.2:80" weight: 10 }
)pb";

// One rule with these matches before the one for all others; no matches: a plain split.
std::shared_ptr<const Destination> Make(std::string_view matches) {
  const std::string rule =
      std::string("rules { ") + std::string(matches) + std::string(kBackends) + "}";
  const std::string rest = "rules { backends { endpoints: \"shop/tea.1:80\" weight: 1 } }";
  weft::v1::Destination message;
  if (!google::protobuf::TextFormat::ParseFromString(matches.empty() ? rule : rule + rest,
                                                     &message)) {
    std::abort();
  }
  auto destination = Destination::Compile("10.0.0.1:80", message);
  if (!destination.ok()) std::abort();
  return *std::move(destination);
}

// What a browser sends.
http::Headers BrowserHeaders(std::string_view cookie) {
  http::Headers headers;
  headers.Add("Host", "tea.1.shop.svc.cluster.local");
  headers.Add("User-Agent",
              "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
  headers.Add("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
  headers.Add("Accept-Language", "en-US,en;q=0.5");
  headers.Add("Accept-Encoding", "gzip, deflate, br, zstd");
  headers.Add("Connection", "keep-alive");
  headers.Add("Cookie", cookie);
  headers.Add("Upgrade-Insecure-Requests", "1");
  headers.Add("Sec-Fetch-Dest", "document");
  headers.Add("Sec-Fetch-Mode", "navigate");
  headers.Add("X-Request-Id", "7d6f4d0a-4a43-4b0e-9c57-4a7c3c6f5a11");
  return headers;
}

void Decide(benchmark::State& state, std::string_view matches, std::string_view cookie) {
  const std::shared_ptr<const Destination> destination = Make(matches);
  const http::Headers headers = BrowserHeaders(cookie);
  const RequestView request{"GET", "/api/v2/cart/items?page=2", headers};
  Random random(1);
  destination->Match(request);
  const uint64_t before = allocations.load();
  for (auto _ : state) {
    const Rule* rule = destination->Match(request);
    benchmark::DoNotOptimize(PickLiveBackend(*rule, random, [](const Backend&) { return true; }));
  }
  state.counters["allocations"] = static_cast<double>(allocations.load() - before);
}

constexpr std::string_view kLongCookie =
    "session=0123456789abcdef0123456789abcdef; theme=dark; consent=all; version=beta";

BENCHMARK_CAPTURE(Decide, split_of_all_requests, "", "a=1");
BENCHMARK_CAPTURE(Decide, cookie_header_contains,
                  R"pb(matches { headers { name: "cookie" regex: "version=beta" } })pb",
                  kLongCookie);
BENCHMARK_CAPTURE(Decide, cookie_header_contains_not,
                  R"pb(matches { headers { name: "cookie" regex: "version=beta" } })pb", "a=1");
BENCHMARK_CAPTURE(Decide, cookie_by_name,
                  R"pb(matches { cookies { name: "version" regex: "^beta$" } })pb", kLongCookie);
BENCHMARK_CAPTURE(Decide, cookie_header_regex,
                  R"pb(matches { headers { name: "cookie" regex: "version=(beta|gamma)\\b" } })pb",
                  kLongCookie);
BENCHMARK_CAPTURE(Decide, method_and_path_prefix,
                  R"pb(matches { methods: "GET" path_regex: "/api/.*" })pb", "a=1");
BENCHMARK_CAPTURE(Decide, method_and_path_regex,
                  R"pb(matches { methods: "GET" path_regex: "/api/v[0-9]+/cart/.*" })pb", "a=1");
BENCHMARK_CAPTURE(Decide, ten_matches_none_applies,
                  R"pb(matches { path_regex: "/a/" }
                       matches { path_regex: "/b/" }
                       matches { path_regex: "/c/" }
                       matches { path_regex: "/d/" }
                       matches { path_regex: "/e/" }
                       matches { headers { name: "x-a" regex: "1" } }
                       matches { headers { name: "x-b" regex: "1" } }
                       matches { headers { name: "x-c" regex: "1" } }
                       matches { cookies { name: "d" regex: "1" } }
                       matches { cookies { name: "e" regex: "1" } })pb",
                  kLongCookie);

}  // namespace
}  // namespace weft::route

BENCHMARK_MAIN();
