#include "control-plane/discovery/stream.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "control-plane/ca/caller.h"
#include "google/protobuf/util/time_util.h"
#include "grpcpp/impl/codegen/proto_utils.h"

namespace weft::discovery {
namespace {

using compile::ResourceType;

constexpr size_t kMaxVersionBytes = 128;

// What is needed first goes first: the rules before the addresses they lead to.
constexpr ResourceType kPushOrder[] = {ResourceType::kMeshSettings, ResourceType::kTrustBundle,
                                       ResourceType::kWorkload, ResourceType::kDestination,
                                       ResourceType::kEndpoints};

bool IsRefusal(const absl::Status& status) {
  return !status.ok() && !absl::IsUnavailable(status) && !absl::IsCancelled(status);
}

}  // namespace

Stream::Stream(Hub& hub, SpiffeId identity, std::string peer)
    : hub_(hub),
      identity_(std::move(identity)),
      peer_(std::move(peer)),
      connected_(absl::Now()),
      sessions_{TypeSession(ResourceType::kWorkload), TypeSession(ResourceType::kDestination),
                TypeSession(ResourceType::kEndpoints), TypeSession(ResourceType::kTrustBundle),
                TypeSession(ResourceType::kMeshSettings)} {}

absl::StatusOr<Stream*> Stream::Start(Hub& hub, SpiffeId identity, std::string peer) {
  auto stream = std::make_shared<Stream>(hub, std::move(identity), std::move(peer));
  if (absl::Status joined = hub.Join(stream); !joined.ok()) return joined;
  Stream* started = stream.get();
  absl::MutexLock lock(&started->mu_);
  // The hub may have been drained since; the stream still lives until gRPC says that it is done.
  started->self_ = std::move(stream);
  if (!started->closed_) started->StartRead(&started->incoming_);
  return started;
}

TypeSession& Stream::SessionOf(ResourceType type) { return sessions_[static_cast<size_t>(type)]; }

void Stream::OnReadDone(bool ok) {
  Request request;
  absl::Status status = absl::OkStatus();
  if (ok && !grpc::SerializationTraits<Request>::Deserialize(&incoming_, &request).ok()) {
    status = absl::InvalidArgumentError("the request is not a DeltaDiscoveryRequest");
  }
  absl::MutexLock lock(&mu_);
  if (closed_) return;
  if (!ok) {
    CloseLocked(absl::OkStatus());
    return;
  }
  if (status.ok()) status = Handle(request);
  if (!status.ok()) {
    CloseLocked(status);
    return;
  }
  Flush();
  StartRead(&incoming_);
}

absl::Status Stream::Handle(const Request& request) {
  if (workload_.empty()) {
    if (absl::Status known = Identify(request); !known.ok()) return known;
  }
  const std::optional<ResourceType> type = compile::ParseTypeUrl(request.type_url());
  if (!type.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("type_url \"", request.type_url().substr(0, 300),
                                                   "\" is none that this control plane serves"));
  }
  if (request.resource_locators_subscribe_size() > 0 ||
      request.resource_locators_unsubscribe_size() > 0) {
    return absl::InvalidArgumentError("resource locators are not served: use resource names");
  }
  HandleAnswer(request, *type);
  return HandleSubscriptions(request, *type);
}

absl::Status Stream::Identify(const Request& request) {
  const std::string& id = request.node().id();
  absl::StatusOr<ca::WorkloadName> name = ca::ParseWorkloadName(id, "node.id");
  if (!name.ok()) return name.status();
  const std::optional<SpiffeId> actual = hub_.catalogue().IdentityOf(id);
  if (!actual.has_value()) {
    return absl::PermissionDeniedError(
        absl::StrCat("pod ", id, " is not known to the control plane (yet): if its manifest is ",
                     "still on its way, try again"));
  }
  if (*actual != identity_) {
    return absl::PermissionDeniedError(absl::StrCat("pod ", id, " is ", actual->ToString(),
                                                    ", the caller is ", identity_.ToString()));
  }
  if (absl::Status named = hub_.Name(*this, id); !named.ok()) return named;
  workload_ = id;
  version_ = request.node().user_agent_version().substr(0, kMaxVersionBytes);
  WEFT_LOG_INFO("sidecar connected workload={} version={} peer={}", workload_,
                absl::CHexEscape(version_), peer_);
  return absl::OkStatus();
}

void Stream::HandleAnswer(const Request& request, ResourceType type) {
  if (request.response_nonce().empty()) return;
  std::optional<std::string_view> refusal;
  if (request.has_error_detail()) refusal = request.error_detail().message();
  const absl::Time now = absl::Now();
  const std::optional<TypeSession::Acknowledged> answer =
      SessionOf(type).Acknowledge(request.response_nonce(), refusal, now);
  if (!answer.has_value()) return;
  if (answer->refused) {
    hub_.metrics().Nacks(compile::TypeName(type)).Increment();
    WEFT_LOG_WARN("sidecar refused a response workload={} type={}: {}", workload_,
                  compile::TypeName(type), absl::CHexEscape(ToAbsl(refusal->substr(0, 500))));
  } else if (answer->since.has_value()) {
    hub_.metrics().ObserveConvergence(now - *answer->since);
  }
}

absl::Status Stream::CheckName(ResourceType type, const std::string& name) const {
  if (name.empty() || name.size() > hub_.options().limits.name_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("resource_names_subscribe: a name has 1 to ",
                                                   hub_.options().limits.name_bytes, " bytes"));
  }
  if (name == "*") {
    return absl::InvalidArgumentError(
        "resource_names_subscribe: there is no wildcard, subscribe to names");
  }
  if (type == ResourceType::kWorkload && name != workload_) {
    return absl::PermissionDeniedError(
        absl::StrCat("Workload ", name, " is not the caller's own, which is ", workload_));
  }
  return absl::OkStatus();
}

size_t Stream::SubscriptionCount() const {
  size_t count = 0;
  for (const TypeSession& session : sessions_) count += session.subscribed();
  return count;
}

absl::Status Stream::HandleSubscriptions(const Request& request, ResourceType type) {
  TypeSession& session = SessionOf(type);
  for (const std::string& name : request.resource_names_unsubscribe()) {
    if (session.Unsubscribe(name)) hub_.Unsubscribe(*this, {type, name});
  }
  for (const std::string& name : request.resource_names_subscribe()) {
    if (absl::Status valid = CheckName(type, name); !valid.ok()) return valid;
    const auto known = request.initial_resource_versions().find(name);
    const bool has_version = known != request.initial_resource_versions().end();
    if (session.Subscribe(name, has_version ? known->second : "")) {
      hub_.Subscribe(*this, {type, name});
    }
    if (SubscriptionCount() > hub_.options().limits.subscriptions_per_stream) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", hub_.options().limits.subscriptions_per_stream,
                       " subscriptions on one stream: unsubscribe from what is idle"));
    }
  }
  return absl::OkStatus();
}

void Stream::Flush() {
  if (writing_ || closed_) return;
  for (const ResourceType type : kPushOrder) {
    std::optional<Response> response = SessionOf(type).Next(
        hub_.catalogue(), absl::StrCat(next_nonce_), hub_.options().limits.response_bytes);
    if (!response.has_value()) continue;
    ++next_nonce_;
    outgoing_ = Encode(*response);
    writing_ = true;
    hub_.metrics().Pushes(compile::TypeName(type)).Increment();
    StartWrite(&outgoing_);
    return;
  }
}

void Stream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mu_);
  writing_ = false;
  outgoing_.Clear();
  if (finish_after_write_.has_value()) {
    Finish(ca::ToGrpc(*finish_after_write_));
  } else if (!ok) {
    CloseLocked(absl::UnavailableError("the connection is broken"));
  } else {
    Flush();
  }
}

void Stream::OnChanged(const std::vector<Change>& changes) {
  absl::MutexLock lock(&mu_);
  if (closed_) return;
  for (const Change& change : changes) {
    SessionOf(change.key.type).MarkChanged(change.key.name, change.since);
    if (change.key.type != ResourceType::kWorkload) continue;
    // A pod of the same name may have come with another service account: what was proven no longer
    // holds.
    const std::optional<SpiffeId> actual = hub_.catalogue().IdentityOf(workload_);
    if (actual.has_value() && *actual != identity_) {
      CloseLocked(absl::PermissionDeniedError(absl::StrCat("pod ", workload_, " is now ",
                                                           actual->ToString(), ", the caller is ",
                                                           identity_.ToString())));
      return;
    }
  }
  Flush();
}

void Stream::OnCancel() { Close(absl::CancelledError("cancelled by the sidecar")); }

void Stream::Close(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  CloseLocked(status);
}

void Stream::CloseLocked(const absl::Status& status) {
  if (closed_) return;
  closed_ = true;
  if (IsRefusal(status)) {
    hub_.metrics().StreamsRefused(status.code()).Increment();
    WEFT_LOG_WARN("discovery stream refused workload={} identity={} peer={}: {}", workload_,
                  identity_.ToString(), peer_, absl::CHexEscape(status.ToString()));
  }
  if (writing_) {
    finish_after_write_ = status;
  } else {
    Finish(ca::ToGrpc(status));
  }
}

void Stream::OnDone() {
  std::shared_ptr<Stream> self;
  {
    absl::MutexLock lock(&mu_);
    self = std::move(self_);
    for (const ResourceType type : compile::kResourceTypes) {
      SessionOf(type).ForEachName(
          [&](const std::string& name) { hub_.Unsubscribe(*this, {type, name}); });
    }
    if (!workload_.empty()) WEFT_LOG_INFO("sidecar disconnected workload={}", workload_);
  }
  hub_.Leave(*this);
}

std::optional<v1::Proxy> Stream::Describe() const {
  using google::protobuf::util::TimeUtil;
  absl::MutexLock lock(&mu_);
  if (workload_.empty()) return std::nullopt;
  v1::Proxy proxy;
  proxy.set_id(workload_);
  proxy.set_spiffe_id(identity_.ToString());
  proxy.set_version(version_);
  *proxy.mutable_connected() = TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(connected_));
  bool in_sync = true;
  for (const TypeSession& session : sessions_) {
    in_sync = in_sync && session.InSync();
    if (session.subscribed() > 0) *proxy.add_types() = session.Describe();
  }
  proxy.set_in_sync(in_sync);
  return proxy;
}

std::optional<ResourcePtr> Stream::Held(const compile::ResourceKey& key) const {
  absl::MutexLock lock(&mu_);
  return sessions_[static_cast<size_t>(key.type)].HeldResource(key.name);
}

std::string Stream::workload() const {
  absl::MutexLock lock(&mu_);
  return workload_;
}

std::vector<ResourcePtr> Stream::Sent() const {
  absl::MutexLock lock(&mu_);
  std::vector<ResourcePtr> sent;
  for (const TypeSession& session : sessions_) {
    session.ForEachSent([&](const ResourcePtr& resource) { sent.push_back(resource); });
  }
  return sent;
}

}  // namespace weft::discovery
