// Which endpoint a request or a connection to a destination goes to.
#ifndef WEFT_SIDECAR_PROXY_MESH_CHOOSER_H_
#define WEFT_SIDECAR_PROXY_MESH_CHOOSER_H_

#include <memory>
#include <string>

#include "sidecar/discovery/worker_config.h"
#include "sidecar/proxy/forward.h"
#include "sidecar/route/destination.h"
#include "sidecar/upstream/balance/endpoint_set.h"
#include "sidecar/upstream/pools.h"

namespace weft::proxy {

class Worker;

// Decides rule and backend once, by the configuration of this moment, and endpoints one by one: one
// that could not be connected to is not tried again. Lives as long as one request; the worker
// outlives it.
class MeshChooser final : public Chooser {
 public:
  MeshChooser(Worker& worker, discovery::DestinationRef entry)
      : worker_(worker), entry_(std::move(entry)) {}

  // For HTTP: `down` outlives this.
  void SetRequest(http::ServerExchange* down) { down_ = down; }

  io::Task<NoAttempt> Choose(upstream::Reuse reuse, io::Nanos deadline,
                             std::optional<Attempt>* attempt) override;
  void Avoid(const Attempt& attempt, bool never) override;
  bool HasOther(const Attempt& attempt) const override;

  void OnResponse(http::ResponseHead* head) override;

  // For opaque connections: an endpoint and a connection to it.
  struct TcpAttempt {
    upstream::Load load;
    std::unique_ptr<io::Stream> stream;
  };
  io::Task<NoAttempt> ChooseTcp(io::Nanos deadline, std::optional<TcpAttempt>* attempt);

  // What was chosen last, for telemetry; null and empty before.
  const upstream::EndpointConfig* endpoint() const { return endpoint_.get(); }
  const std::string& service() const { return service_; }
  bool mesh() const { return mesh_; }

 private:
  struct Pick {
    upstream::Load load;
    upstream::Pools* pools = nullptr;
    io::Nanos deadline = 0;  // for the connection
  };
  io::Task<NoAttempt> PickEndpoint(io::Nanos deadline, Pick* pick);
  io::Task<NoAttempt> Decide(io::Nanos deadline);
  upstream::Wire WireTo(const upstream::EndpointConfig& endpoint) const;
  NoAttempt Blame(upstream::Load& load, const absl::Status& status);

  Worker& worker_;
  const discovery::DestinationRef entry_;
  http::ServerExchange* down_ = nullptr;

  std::shared_ptr<const route::Destination> destination_;
  const route::Backend* backend_ = nullptr;
  discovery::EndpointsRef endpoints_;
  upstream::Exclusions tried_;    // and not to be tried again
  upstream::Exclusions avoided_;  // all of the former, and those that had better not be tried again
  std::shared_ptr<const upstream::EndpointConfig> endpoint_;
  std::string service_;
  NoAttempt last_failure_{Error::kNone, ""};  // to connect
  std::string introduction_;
  bool mesh_ = false;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_MESH_CHOOSER_H_
