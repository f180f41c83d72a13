// How long one change takes in a mesh of 1,000 services with ten pods each, all of them subscribed
// to.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/compiler.h"
#include "control-plane/store/kinds.h"

namespace weft::compile {
namespace {

constexpr int kServices = 1000;
constexpr int kPodsPerService = 10;

store::Update ServiceUpdate(int i) {
  auto service = std::make_shared<k8s::Service>();
  service->mutable_metadata()->set_namespace_("shop");
  service->mutable_metadata()->set_name(absl::StrCat("web-", i));
  (*service->mutable_spec()->mutable_selector())["app"] = absl::StrCat("web-", i);
  service->mutable_spec()->set_cluster_ip(absl::StrCat("10.0.", i / 250, ".", i % 250));
  k8s::ServicePort& port = *service->mutable_spec()->add_ports();
  port.set_name("http");
  port.set_port(80);
  return {{store::Kind::kService, "shop", service->metadata().name()}, service};
}

// `generation` makes the pod's address differ.
store::Update PodUpdate(int i, int pod, int generation) {
  auto object = std::make_shared<k8s::Pod>();
  object->mutable_metadata()->set_namespace_("shop");
  object->mutable_metadata()->set_name(absl::StrCat("web-", i, "-", pod));
  (*object->mutable_metadata()->mutable_labels())["app"] = absl::StrCat("web-", i);
  (*object->mutable_metadata()->mutable_labels())["tier"] = "web";
  object->mutable_spec()->add_containers()->set_name("app");
  object->mutable_spec()->add_containers()->set_name("weft-sidecar");
  object->mutable_status()->set_phase("Running");
  object->mutable_status()->set_pod_ip(
      absl::StrCat("10.", 1 + pod + 20 * generation, ".", i / 250, ".", i % 250));
  return {{store::Kind::kPod, "shop", object->metadata().name()}, object};
}

// Everything there is, and everybody subscribed to it.
std::unique_ptr<Compiler> Mesh() {
  auto compiler = std::make_unique<Compiler>(Compiler::Options{});
  std::vector<store::Update> updates;
  for (int i = 0; i < kServices; ++i) {
    updates.push_back(ServiceUpdate(i));
    for (int pod = 0; pod < kPodsPerService; ++pod) updates.push_back(PodUpdate(i, pod, 0));
  }
  compiler->Apply(std::move(updates));
  for (int i = 0; i < kServices; ++i) {
    compiler->Get(
        {ResourceType::kDestination, absl::StrCat("10.0.", i / 250, ".", i % 250, ":80")});
    compiler->Get({ResourceType::kEndpoints, absl::StrCat("shop/web-", i, ":80")});
    for (int pod = 0; pod < kPodsPerService; ++pod) {
      compiler->Get({ResourceType::kWorkload, absl::StrCat("shop/web-", i, "-", pod)});
    }
  }
  return compiler;
}

void FillAndSubscribe(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Mesh());
}
BENCHMARK(FillAndSubscribe)->Unit(benchmark::kMillisecond);

void OnePodChanges(benchmark::State& state) {
  std::unique_ptr<Compiler> compiler = Mesh();
  int generation = 0;
  for (auto _ : state) {
    generation = 1 - generation;
    compiler->Apply({PodUpdate(7, 3, generation)});
  }
}
BENCHMARK(OnePodChanges)->Unit(benchmark::kMicrosecond);

void MeshConfigChanges(benchmark::State& state) {
  std::unique_ptr<Compiler> compiler = Mesh();
  bool strict = false;
  for (auto _ : state) {
    strict = !strict;
    auto config = std::make_shared<k8s::MeshConfig>();
    config->mutable_metadata()->set_name("default");
    config->mutable_spec()->set_mtls_mode(strict ? "strict" : "permissive");
    compiler->Apply({{{store::Kind::kMeshConfig, "", "default"}, config}});
  }
}
BENCHMARK(MeshConfigChanges)->Unit(benchmark::kMillisecond);

void FindingsAfterAChange(benchmark::State& state) {
  std::unique_ptr<Compiler> compiler = Mesh();
  int generation = 0;
  for (auto _ : state) {
    generation = 1 - generation;
    compiler->Apply({PodUpdate(7, 3, generation)});
    benchmark::DoNotOptimize(compiler->Findings());
  }
}
BENCHMARK(FindingsAfterAChange)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::compile

BENCHMARK_MAIN();
