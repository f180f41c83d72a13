// A compiler fed with manifests, for tests that read as manifests in, resources out.
#ifndef WEFT_CONTROL_PLANE_COMPILE_MESH_FOR_TEST_H_
#define WEFT_CONTROL_PLANE_COMPILE_MESH_FOR_TEST_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control-plane/compile/compiler.h"

namespace weft::compile {

class MeshForTest {
 public:
  explicit MeshForTest(Compiler::Options options = {});

  // Applies the objects of a YAML stream; it must be right.
  void Apply(std::string_view yaml);
  void Remove(store::Kind kind, std::string name_space, std::string name);

  // Hands the resource out; nullopt if it does not exist.
  std::optional<weft::v1::Destination> Destination(std::string_view name);
  std::optional<weft::v1::Endpoints> Endpoints(std::string_view name);
  std::optional<weft::v1::Workload> Workload(std::string_view name);

  // A Destination's rules in short: "[cookie~version=beta] tea.1=0 tea.2=100; [*] tea.1=1".
  // Backends in namespace "shop" are named without it, "!" marks those without endpoints. "none" if
  // there is none.
  std::string Rules(std::string_view destination);

  // Endpoints in short: "10.1.0.1:8080 10.1.0.2:8080(draining)".
  std::string Addresses(std::string_view endpoints);

  // "Destination 10.0.0.1:80" for every resource announced since the last call, in order.
  std::vector<std::string> TakeAnnounced();

  // "Reason at object field" for every finding.
  std::vector<std::string> Findings();

  Compiler& compiler() { return compiler_; }

 private:
  template <typename T>
  std::optional<T> Get(ResourceType type, std::string_view name);

  Compiler compiler_;
  std::vector<std::string> announced_;
};

// tea.1 and tea.2, each with a service (10.0.0.1, 10.0.0.2, port 80), a pod that serves it
// (10.1.0.1, 10.1.0.2, port 8080) and a service account; with a sidecar each.
extern const char kTea[];

// The split of tea.1 that sends requests with the cookie version=beta to tea.2.
extern const char kCookieCanary[];

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_MESH_FOR_TEST_H_
