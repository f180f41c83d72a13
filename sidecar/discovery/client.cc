#include "sidecar/discovery/client.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "sidecar/discovery/ads_stream.h"
#include "sidecar/discovery/backoff.h"
#include "sidecar/discovery/config_dump.h"
#include "sidecar/discovery/subscriptions.h"
#include "sidecar/io/event.h"

namespace weft::discovery {
namespace {

// Half of what a control plane takes from one sidecar by default; the rest is for endpoints.
constexpr size_t kMaxDestinations = 10'000;

}  // namespace

class Client::Impl final : public AdsListener {
 public:
  Impl(Options options, ControlPlane* control_plane, identity::Identity* identity)
      : options_(std::move(options)),
        control_plane_(control_plane),
        identity_(identity),
        backoff_(options_.backoff_min, options_.backoff_max),
        subscriptions_(options_.workload, options_.trust_domain,
                       [identity](const weft::v1::TrustBundle& bundle) {
                         return identity->SetTrustBundle(bundle);
                       }) {}

  void Start() {
    identity_->Subscribe([this](const auto&) { wake_.Notify(); });
    io::Spawn(Run());
  }
  io::Task<void> Stop();
  ClientStatus status() const;

  void OnHandled(const DeltaSession::Handled& handled) override;
  void OnClosed(AdsStream* stream, const std::string& reason) override;

  const Options options_;
  ControlPlane* const control_plane_;
  identity::Identity* const identity_;
  std::function<void()> on_status_;
  absl::BitGen random_;
  Backoff backoff_;
  Subscriptions subscriptions_;
  size_t workers_ = 0;

 private:
  io::Task<void> Run();
  io::Task<void> Renew(uint64_t certificates);
  void Failed(std::string why);
  void Tell() {
    if (on_status_) on_status_();
  }

  std::shared_ptr<AdsStream> stream_;
  uint64_t stream_certificates_ = 0;  // how many certificates there had been when it was opened
  size_t unclosed_streams_ = 0;
  io::Nanos retry_at_ = 0;

  uint64_t streams_ = 0;
  uint64_t failed_dials_ = 0;
  uint64_t responses_ = 0;
  uint64_t nacks_ = 0;
  std::string last_error_;    // of a dial or a stream, until something has come again
  std::string last_refusal_;  // means something while a resource is refused

  bool running_ = false;
  bool stopping_ = false;
  io::Event wake_;     // for Run()
  io::Event stopped_;  // for Stop()
};

// Keeps one stream open. The control plane looks at the client's certificate only when a connection
// is made, so a new certificate means a new connection: first the new one, then the old one is
// closed.
io::Task<void> Client::Impl::Run() {
  running_ = true;
  while (!stopping_) {
    const identity::IdentityStatus identity = identity_->status();
    const bool outdated = stream_ == nullptr || stream_certificates_ != identity.certificates;
    if (!outdated || !identity.has_certificate) {
      co_await io::Wait(wake_);
    } else if (io::MonotonicNow() < retry_at_) {
      co_await io::Wait(wake_, retry_at_);
    } else {
      co_await Renew(identity.certificates);
    }
  }
  running_ = false;
  stopped_.Notify();
}

io::Task<void> Client::Impl::Renew(uint64_t certificates) {
  absl::StatusOr<std::unique_ptr<Tunnel>> tunnel = co_await control_plane_->Dial(
      identity_->ControlPlaneContext(), io::MonotonicNow() + options_.dial_timeout);
  if (stopping_) co_return;
  if (!tunnel.ok()) {
    Failed(std::string(tunnel.status().message()));
    co_return;
  }
  const auto stream = std::make_shared<AdsStream>(*std::move(tunnel), control_plane_,
                                                  options_.workload, &subscriptions_, this);
  const std::shared_ptr<AdsStream> previous = std::exchange(stream_, stream);
  stream_certificates_ = certificates;
  ++streams_;
  ++unclosed_streams_;
  WEFT_LOG_INFO("discovery stream opened workload={} streams={}", options_.workload, streams_);
  stream->Start();
  if (previous != nullptr) previous->Close();
  Tell();
}

void Client::Impl::Failed(std::string why) {
  ++failed_dials_;
  last_error_ = std::move(why);
  const io::Nanos wait = backoff_.Next(random_);
  retry_at_ = io::MonotonicNow() + wait;
  WEFT_LOG_WARN("no discovery stream: {}; next attempt in {} ms", last_error_,
                wait / io::kMillisecond);
  Tell();
}

void Client::Impl::OnHandled(const DeltaSession::Handled& handled) {
  backoff_.Reset();
  last_error_.clear();
  if (handled.accepted) {
    ++responses_;
  } else {
    ++nacks_;
    last_refusal_ = handled.refusal;
    WEFT_LOG_WARN("configuration refused: {}", handled.refusal);
  }
  Tell();
}

void Client::Impl::OnClosed(AdsStream* stream, const std::string& reason) {
  --unclosed_streams_;
  if (stream == stream_.get()) {
    stream_.reset();
    if (!stopping_) Failed(reason);
  }
  wake_.Notify();
  stopped_.Notify();
}

io::Task<void> Client::Impl::Stop() {
  stopping_ = true;
  wake_.Notify();
  if (stream_ != nullptr) stream_->Close();
  while (running_ || unclosed_streams_ > 0) co_await io::Wait(stopped_);
}

ClientStatus Client::Impl::status() const {
  return {.connected = stream_ != nullptr,
          .streams = streams_,
          .failed_dials = failed_dials_,
          .responses = responses_,
          .nacks = nacks_,
          .refused = subscriptions_.refused(),
          .last_error = !last_error_.empty()           ? last_error_
                        : subscriptions_.refused() > 0 ? last_refusal_
                                                       : "",
          .destinations = subscriptions_.table(ResourceType::kDestination).size(),
          .endpoints = subscriptions_.table(ResourceType::kEndpoints).size(),
          .has_workload = subscriptions_.workload() != nullptr,
          .has_trust_bundle = subscriptions_.has_trust_bundle(),
          .has_settings = subscriptions_.settings() != nullptr};
}

Client::Client(Options options, ControlPlane* control_plane, identity::Identity* identity)
    : impl_(std::make_unique<Impl>(std::move(options), control_plane, identity)) {}
Client::~Client() = default;

void Client::AddWorker(io::Reactor* reactor, Subscriber* subscriber) {
  ++impl_->workers_;
  impl_->subscriptions_.AddWorker(reactor, subscriber);
}

size_t Client::DestinationsPerWorker() const {
  return kMaxDestinations / std::max<size_t>(impl_->workers_, 1);
}

void Client::Start() { impl_->Start(); }
io::Task<void> Client::Stop() { return impl_->Stop(); }
ClientStatus Client::status() const { return impl_->status(); }
void Client::OnStatus(std::function<void()> callback) { impl_->on_status_ = std::move(callback); }

const std::shared_ptr<const weft::v1::Workload>& Client::workload() const {
  return impl_->subscriptions_.workload();
}

const std::shared_ptr<const weft::v1::MeshSettings>& Client::settings() const {
  return impl_->subscriptions_.settings();
}

std::string Client::ConfigDump() const { return DumpConfig(impl_->subscriptions_); }

void Client::Subscribe(Subscriber* subscriber, OnDemand type, std::string name) {
  impl_->control_plane_->reactor()->Post(
      [impl = impl_.get(), subscriber, type, name = std::move(name)] {
        impl->subscriptions_.Want(subscriber, type, name);
      });
}

void Client::Unsubscribe(Subscriber* subscriber, OnDemand type, std::string name) {
  impl_->control_plane_->reactor()->Post(
      [impl = impl_.get(), subscriber, type, name = std::move(name)] {
        impl->subscriptions_.Unwant(subscriber, type, name);
      });
}

}  // namespace weft::discovery
