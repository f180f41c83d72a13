// The endpoints of one Endpoints resource, as one worker balances over them.
#ifndef WEFT_SIDECAR_PROXY_CLUSTER_H_
#define WEFT_SIDECAR_PROXY_CLUSTER_H_

#include <memory>
#include <string>

#include "base/log.h"
#include "sidecar/discovery/worker_config.h"
#include "sidecar/upstream/balance/endpoint_set.h"

namespace weft::proxy {

class Cluster final : public discovery::EndpointsListener {
 public:
  explicit Cluster(const std::string& name) : set_(name) {}

  void OnEndpoints(const std::shared_ptr<const weft::v1::Endpoints>& endpoints) override {
    const absl::Status updated =
        set_.Update(endpoints == nullptr ? weft::v1::Endpoints() : *endpoints);
    // The discovery client refuses such a resource before it comes here.
    if (!updated.ok()) WEFT_LOG_ERROR("{}", updated.ToString());
  }

  upstream::EndpointSet& set() { return set_; }

 private:
  upstream::EndpointSet set_;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_CLUSTER_H_
