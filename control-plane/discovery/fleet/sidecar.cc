#include "control-plane/discovery/fleet/sidecar.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace weft::discovery::fleet {
namespace {

using compile::ResourceKey;
using compile::ResourceType;

// As a real sidecar's: doubled from one to the other, half of it drawn by lot.
constexpr absl::Duration kMinBackoff = absl::Milliseconds(200);
constexpr absl::Duration kMaxBackoff = absl::Seconds(30);

// Asked for last and always without a version: its answer tells that everything before it on the
// stream has been handled.
constexpr ResourceType kLast = ResourceType::kTrustBundle;
constexpr ResourceType kOrder[] = {ResourceType::kWorkload, ResourceType::kMeshSettings,
                                   ResourceType::kDestination, ResourceType::kEndpoints, kLast};

}  // namespace

Sidecar::Sidecar(Shared& shared, std::string id, std::vector<ResourceKey> wanted)
    : shared_(shared), id_(std::move(id)), backoff_(kMinBackoff) {
  for (ResourceKey& key : wanted) {
    wanted_[static_cast<size_t>(key.type)].push_back(std::move(key.name));
  }
}

bool Sidecar::Wants(const ResourceKey& key) const {
  return std::ranges::count(wanted_[static_cast<size_t>(key.type)], key.name) > 0;
}

void Sidecar::Connect() {
  if (connection_ != nullptr) return;
  absl::StatusOr<std::unique_ptr<Connection>> dialled =
      Connection::Dial(shared_.control_plane, *shared_.tls, *this, shared_.traffic);
  next_attempt_ = absl::InfiniteFuture();
  if (dialled.ok()) {
    connection_ = *std::move(dialled);
  } else {
    Drop();
  }
}

void Sidecar::Drop() {
  connection_.reset();
  settled_ = false;
  seen_ = false;
  const double share = std::uniform_real_distribution<>(0.5, 1)(shared_.random);
  next_attempt_ = absl::Now() + backoff_ * share;
  backoff_ = std::min(2 * backoff_, kMaxBackoff);
}

void Sidecar::Drive() {
  if (!connection_->Drive().ok()) {
    ++shared_.failures;
    Drop();
    return;
  }
  if (std::exchange(seen_, false) && reached_) std::exchange(reached_, nullptr)();
}

void Sidecar::OnOpen() {
  connection_->Call(
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources", "");
  unanswered_ = 0;
  for (const ResourceType type : kOrder) Subscribe(type);
}

void Sidecar::Subscribe(ResourceType type) {
  const std::vector<std::string>& names = wanted_[static_cast<size_t>(type)];
  if (names.empty()) return;
  Request request;
  request.mutable_node()->set_id(id_);
  request.mutable_node()->set_user_agent_version("fleet");
  request.set_type_url(std::string(compile::TypeUrl(type)));
  for (const std::string& name : names) {
    request.add_resource_names_subscribe(name);
    const auto known = versions_.find({type, name});
    if (known != versions_.end() && type != kLast) {
      (*request.mutable_initial_resource_versions())[name] = known->second;
    } else {
      ++unanswered_;
    }
  }
  Send(request);
}

void Sidecar::Send(const Request& request) { connection_->Send(request.SerializeAsString()); }

void Sidecar::OnMessage(std::string_view message) {
  envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
  const std::optional<ResourceType> type = compile::ParseTypeUrl(response.type_url());
  if (!type.has_value()) return;
  ++shared_.messages;
  size_t answers = static_cast<size_t>(response.removed_resources_size());
  for (const auto& resource : response.resources()) {
    const ResourceKey key{*type, resource.name()};
    ++answers;
    if (reached_ && key == watched_ &&
        resource.resource().value().find(marker_) != std::string::npos) {
      seen_ = true;
    }
    versions_[key] = resource.version();
  }
  unanswered_ -= std::min(unanswered_, answers);
  if (unanswered_ == 0) {
    settled_ = true;
    backoff_ = kMinBackoff;
  }
  Request acknowledgement;
  acknowledgement.set_type_url(response.type_url());
  acknowledgement.set_response_nonce(response.nonce());
  Send(acknowledgement);
}

void Sidecar::Watch(ResourceKey key, std::string marker, std::function<void()> reached) {
  watched_ = std::move(key);
  marker_ = std::move(marker);
  reached_ = std::move(reached);
  seen_ = false;
}

}  // namespace weft::discovery::fleet
