// How compilations read the mesh: every question asked is recorded as a fact the result depends on.
#ifndef WEFT_CONTROL_PLANE_COMPILE_VIEW_H_
#define WEFT_CONTROL_PLANE_COMPILE_VIEW_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "control-plane/compile/fact.h"
#include "control-plane/compile/index.h"

namespace weft::compile {

// Lives for one compilation; pointers it returns are valid for as long.
class View {
 public:
  // `asked` collects the facts; nullptr if nobody wants to know. Both outlive the view.
  View(const Index& index, std::string_view trust_domain, absl::flat_hash_set<Fact>* asked)
      : index_(index), trust_domain_(trust_domain), asked_(asked) {}

  std::string_view trust_domain() const { return trust_domain_; }
  std::string_view cluster_domain() const { return index_.cluster_domain(); }
  bool awaits_pods() const { return index_.awaits_pods(); }

  const k8s::Service* Service(std::string_view name_space, std::string_view name) const;
  const k8s::Pod* Pod(std::string_view name_space, std::string_view name) const;
  const k8s::HttpRouteGroup* RouteGroup(std::string_view name_space, std::string_view name) const;
  const k8s::TcpRoute* TcpRoute(std::string_view name_space, std::string_view name) const;

  // The MeshConfig "default", or nullptr.
  const k8s::MeshConfig* MeshConfig() const;

  // As Index says.
  const k8s::Service* ServiceAt(std::string_view ip) const;  // the oldest
  const k8s::Pod* PodAt(std::string_view ip) const;
  std::vector<const k8s::EndpointSlice*> SlicesOf(const k8s::Service& service) const;
  const k8s::Endpoints* EndpointsOf(const k8s::Service& service) const;
  std::vector<const k8s::Pod*> PodsOf(const k8s::Service& service) const;
  std::vector<const k8s::Service*> ServicesOf(const k8s::Pod& pod) const;
  std::vector<const k8s::TrafficSplit*> SplitsOf(std::string_view name_space,
                                                 std::string_view service) const;

 private:
  void Ask(FactKind kind, std::string name) const {
    if (asked_ != nullptr) asked_->insert({kind, std::move(name)});
  }

  const Index& index_;
  const std::string_view trust_domain_;
  absl::flat_hash_set<Fact>* const asked_;
};

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_VIEW_H_
