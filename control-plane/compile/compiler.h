// From stored objects to discovery resources: incrementally, and only what somebody has asked for.
#ifndef WEFT_CONTROL_PLANE_COMPILE_COMPILER_H_
#define WEFT_CONTROL_PLANE_COMPILE_COMPILER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/spiffe_id.h"
#include "control-plane/compile/resource.h"
#include "control-plane/compile/review.h"
#include "control-plane/store/object.h"
#include "weft/v1/discovery.pb.h"
#include "weft/v1/inspect.pb.h"

namespace weft::compile {

// Holds the mesh's objects and compiles resources from them on demand. A resource that was handed
// out is remembered with the facts it was made of; a change of objects recomputes the resources
// that depend on them and announces those that came out different.
//
// Thread-safe. The listener is called without any lock held, on the thread whose call caused the
// change.
class Compiler {
 public:
  struct Options {
    std::string trust_domain = "cluster.local";
    // The DNS suffix of services: "tea.shop.svc.<cluster_domain>".
    std::string cluster_domain = "cluster.local";
    // For sources that bring kinds one by one: an endpoint whose pod is not known (yet) is left
    // out, and not taken for one without a sidecar, which would be sent plaintext.
    bool awaits_pods = false;
  };

  // How much there is, for status and metrics.
  struct Counts {
    uint32_t services = 0;
    uint32_t endpoints =
        0;  // ready addresses, summed over services (one pod behind two services: two)
    uint32_t splits = 0;
    uint32_t pods = 0;
    uint32_t handed_out = 0;  // resources that are cached because somebody has asked for them
  };

  using Listener = std::function<void(const std::vector<ResourceKey>&)>;

  explicit Compiler(Options options);
  ~Compiler();
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  // The resource, or nullptr if it does not exist (now); either way changes of it are announced
  // from now on, until Release. A malformed name is a resource that does not exist.
  std::shared_ptr<const Resource> Get(const ResourceKey& key);

  // Nobody is interested in the resource any more: what was kept for it is dropped.
  void Release(const ResourceKey& key);

  // `listener` gets the keys of handed-out resources whose content or existence has changed. Set it
  // before the first Apply; a second call replaces the first.
  void SetListener(Listener listener);

  // Replaces the bundle of `bundle.trust_domain()`, served under that name.
  void SetTrustBundle(const weft::v1::TrustBundle& bundle);

  // Takes objects in and out. Objects equal to those already there change nothing.
  void Apply(std::vector<store::Update> updates);

  // The identity of the pod "namespace/pod"; nullopt if there is no such pod.
  std::optional<SpiffeId> IdentityOf(std::string_view workload) const;

  // The uid of the pod "namespace/pod"; empty if there is no such pod, or it has none.
  std::string UidOf(std::string_view workload) const;

  // Namespaces whose pods get sidecars, or have some: sorted by name.
  std::vector<std::string> MeshNamespaces() const;

  // For the inspect service. An empty `name_space` means all; sorted by namespace and name.
  weft::v1::ListServicesResponse ListServices(std::string_view name_space) const;
  weft::v1::ListSplitsResponse ListSplits(std::string_view name_space) const;

  // Every mistake in the objects, sorted by object and field.
  std::vector<weft::v1::Finding> Findings() const;

  // Every object that has a status, with its mistakes.
  std::vector<Review> Reviews() const;

  // Grows whenever objects have changed.
  uint64_t Revision() const;

  // What decides a connection from a workload to a host and port. InvalidArgument: the request is
  // malformed. NotFound: the host is a service of the mesh that has no such port, or has no
  // address.
  absl::StatusOr<weft::v1::ResolveRouteResponse> ResolveRoute(
      const weft::v1::ResolveRouteRequest& request) const;

  // The mesh-wide settings in force (also the resource MeshSettings "default").
  weft::v1::MeshSettings Settings() const;

  Counts GetCounts() const;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_COMPILER_H_
