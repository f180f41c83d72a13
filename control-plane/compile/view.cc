#include "control-plane/compile/view.h"

namespace weft::compile {

const k8s::Service* View::Service(std::string_view name_space, std::string_view name) const {
  Ask(FactKind::kService, Qualified(name_space, name));
  return index_.store().Find<k8s::Service>(name_space, name);
}

const k8s::Pod* View::Pod(std::string_view name_space, std::string_view name) const {
  Ask(FactKind::kPod, Qualified(name_space, name));
  return index_.store().Find<k8s::Pod>(name_space, name);
}

const k8s::HttpRouteGroup* View::RouteGroup(std::string_view name_space,
                                            std::string_view name) const {
  Ask(FactKind::kRouteGroup, Qualified(name_space, name));
  return index_.store().Find<k8s::HttpRouteGroup>(name_space, name);
}

const k8s::TcpRoute* View::TcpRoute(std::string_view name_space, std::string_view name) const {
  Ask(FactKind::kTcpRoute, Qualified(name_space, name));
  return index_.store().Find<k8s::TcpRoute>(name_space, name);
}

const k8s::MeshConfig* View::MeshConfig() const {
  Ask(FactKind::kMeshConfig, "");
  return index_.store().Find<k8s::MeshConfig>("", "default");
}

const k8s::Service* View::ServiceAt(std::string_view ip) const {
  Ask(FactKind::kAddress, std::string(ip));
  std::vector<const k8s::Service*> services = index_.ServicesAt(ip);
  return services.empty() ? nullptr : services.front();
}

const k8s::Pod* View::PodAt(std::string_view ip) const {
  Ask(FactKind::kAddress, std::string(ip));
  return index_.PodAt(ip);
}

std::vector<const k8s::EndpointSlice*> View::SlicesOf(const k8s::Service& service) const {
  Ask(FactKind::kEndpoints, Qualified(service.metadata()));
  return index_.SlicesOf(service.metadata().namespace_(), service.metadata().name());
}

const k8s::Endpoints* View::EndpointsOf(const k8s::Service& service) const {
  Ask(FactKind::kEndpoints, Qualified(service.metadata()));
  return index_.store().Find<k8s::Endpoints>(service.metadata().namespace_(),
                                             service.metadata().name());
}

std::vector<const k8s::Pod*> View::PodsOf(const k8s::Service& service) const {
  Ask(FactKind::kEndpoints, Qualified(service.metadata()));
  return index_.PodsOf(service);
}

std::vector<const k8s::Service*> View::ServicesOf(const k8s::Pod& pod) const {
  Ask(FactKind::kServicesOfPod, Qualified(pod.metadata()));
  return index_.ServicesOf(pod);
}

std::vector<const k8s::TrafficSplit*> View::SplitsOf(std::string_view name_space,
                                                     std::string_view service) const {
  Ask(FactKind::kSplits, Qualified(name_space, service));
  return index_.SplitsOf(name_space, service);
}

}  // namespace weft::compile
