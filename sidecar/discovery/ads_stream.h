// One discovery stream over one connection.
#ifndef WEFT_SIDECAR_DISCOVERY_ADS_STREAM_H_
#define WEFT_SIDECAR_DISCOVERY_ADS_STREAM_H_

#include <memory>
#include <string>

#include "envoy/service/discovery/v3/ads.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/async_stream.h"
#include "sidecar/discovery/control_plane.h"
#include "sidecar/discovery/delta_session.h"
#include "sidecar/discovery/operation.h"
#include "sidecar/discovery/subscriptions.h"
#include "sidecar/io/event.h"
#include "sidecar/io/task.h"

namespace weft::discovery {

// Told of what happens on a stream; outlives it.
class AdsListener {
 public:
  virtual ~AdsListener() = default;
  virtual void OnHandled(const DeltaSession::Handled& handled) = 0;
  // Once, when nothing of the stream runs any more. `reason` is empty if Close() ended it.
  virtual void OnClosed(class AdsStream* stream, const std::string& reason) = 0;
};

// A coroutine reads and one writes. Main reactor only. Held by shared pointer; keeps itself until
// it has closed.
class AdsStream : public std::enable_shared_from_this<AdsStream> {
 public:
  AdsStream(std::unique_ptr<Tunnel> tunnel, ControlPlane* control_plane, std::string node_id,
            Subscriptions* subscriptions, AdsListener* listener);
  AdsStream(const AdsStream&) = delete;
  AdsStream& operator=(const AdsStream&) = delete;

  void Start();

  // Ends it: what has not been sent is lost, what still arrives is ignored.
  void Close();

  bool closed() const { return closed_; }

 private:
  using Service = envoy::service::discovery::v3::AggregatedDiscoveryService;

  static io::Task<void> Run(std::shared_ptr<AdsStream> self);
  static io::Task<void> Send(std::shared_ptr<AdsStream> self);
  io::Task<void> Receive();

  const std::unique_ptr<Tunnel> tunnel_;
  ControlPlane* const control_plane_;
  AdsListener* const listener_;
  std::unique_ptr<DeltaSession> session_;
  io::Event work_;    // for Send()
  io::Event sender_;  // for Run(): Send() has ended
  bool sending_ = false;
  bool closing_ = false;  // no more requests
  bool asked_to_close_ = false;
  bool closed_ = false;

  const std::unique_ptr<Service::Stub> stub_;
  grpc::ClientContext call_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<DeltaSession::Request, DeltaSession::Response>>
      stream_;
  Operation reading_;
  Operation writing_;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_ADS_STREAM_H_
