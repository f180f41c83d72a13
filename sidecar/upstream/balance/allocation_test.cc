// The decisions on the path of a request cost no memory: every allocation of this program is
// counted.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/route/destination.h"
#include "sidecar/route/testing.h"
#include "sidecar/upstream/balance/endpoint_set.h"
#include "sidecar/upstream/balance/testing.h"

namespace {
uint64_t allocations = 0;
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace weft::upstream {
namespace {

TEST(AllocationTest, TheCounterCounts) {
  const uint64_t before = allocations;
  const std::string long_enough(100, 'x');
  EXPECT_EQ(allocations - before, 1u);
}

TEST(AllocationTest, ARequestIsMatchedSplitAndBalancedWithoutAllocating) {
  const auto destination = route::CompileText(R"pb(
    rules {
      matches {
        methods: "GET"
        path_regex: "/api/v[0-9]+/"
        headers { name: "x-canary" regex: "(?i)^yes$" }
      }
      matches { headers { name: "cookie" regex: "version=(beta|gamma)" } }
      matches { cookies { name: "version" regex: "^b[a-z]+$" } }
      matches { headers { name: "accept" regex: "html, .*json" } }
      backends { service: "s/a" endpoints: "s/a:80" weight: 90 }
      backends { service: "s/b" endpoints: "s/b:80" weight: 10 }
      backends { service: "s/dead" endpoints: "s/dead:80" weight: 50 }
    }
    rules { backends { service: "s/a" endpoints: "s/a:80" weight: 1 } }
  )pb");
  ASSERT_TRUE(destination.ok()) << destination.status();
  std::vector<std::unique_ptr<EndpointSet>> sets;
  for (const std::string& name : (*destination)->endpoints()) {
    sets.push_back(std::make_unique<EndpointSet>(name, &FakeNow));
  }
  ASSERT_TRUE(sets[0]->Update(ReadyEndpoints(20)).ok());
  ASSERT_TRUE(sets[1]->Update(ReadyEndpoints(3)).ok());

  const std::vector<http::Headers> requests = {
      route::MakeHeaders({{"Host", "tea.1"}, {"X-Canary", "Yes"}}),
      route::MakeHeaders({{"Host", "tea.1"}, {"Cookie", "id=1"}, {"Cookie", "version=gamma; a=b"}}),
      route::MakeHeaders({{"Cookie", "a=b; version=blue"}}),
      route::MakeHeaders({{"Accept", "text/html"}, {"accept", "application/json; charset=utf-8"}}),
      route::MakeHeaders({{"Accept", "*/*"}}),
  };
  route::Random random(1);
  uint64_t matched = 0;
  const auto serve = [&](const http::Headers& headers, weft::v1::LbMethod method) {
    const route::Rule* rule = (*destination)->Match({"GET", "/api/v2/users?q=1", headers});
    matched += rule->index == 0;
    const route::Backend* backend = PickLiveBackend(
        *rule, random, [&](const route::Backend& b) { return sets[b.endpoints_index]->HasLive(); });
    Exclusions excluded;
    for (int attempt = 0; attempt < 3; ++attempt) {
      Load load = sets[backend->endpoints_index]->Pick(method, fake_now, random, excluded);
      if (!load) break;
      excluded.Add(load.endpoint_ref());
      fake_now += 100'000;
      switch (random.Below(4)) {
        case 0:
          load.OnDone(fake_now, false);
          break;
        case 1:
          break;  // dropped
        default:
          load.OnHead(fake_now);
          load.OnDone(fake_now, true);
      }
    }
  };
  const auto serve_all = [&] {
    for (int method = 0; method < weft::v1::LbMethod_ARRAYSIZE; ++method) {
      for (const http::Headers& headers : requests) {
        serve(headers, static_cast<weft::v1::LbMethod>(method));
      }
    }
  };
  // The automata and the buffer for joined headers grow in the first round.
  serve_all();
  const uint64_t before = allocations;
  matched = 0;
  for (int i = 0; i < 100; ++i) serve_all();
  EXPECT_EQ(allocations - before, 0u);
  EXPECT_EQ(matched, 4u * 100 * weft::v1::LbMethod_ARRAYSIZE);
}

}  // namespace
}  // namespace weft::upstream
