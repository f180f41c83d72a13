#include "control-plane/discovery/type_session.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "google/protobuf/util/time_util.h"

namespace weft::discovery {
namespace {

constexpr size_t kMaxNackBytes = 4096;
// Roughly what a resource costs beside its content.
constexpr size_t kEnvelopeBytes = 100;
constexpr size_t kMaxForgottenNames = 1000;

}  // namespace

void TypeSession::MakePending(const std::string& name, Subscription& subscription) {
  if (subscription.pending) return;
  subscription.pending = true;
  pending_.push_back(name);
}

bool TypeSession::Subscribe(std::string_view name, std::string_view known_version) {
  const auto [entry, is_new] = subscriptions_.try_emplace(std::string(name));
  Subscription& subscription = entry->second;
  subscription.sent = nullptr;
  subscription.version = known_version;
  subscription.known =
      known_version.empty() ? Subscription::Known::kNothing : Subscription::Known::kVersion;
  MakePending(entry->first, subscription);
  return is_new;
}

bool TypeSession::Unsubscribe(std::string_view name) {
  // A name that is due stays in pending_, where Next skips it; but not without bound.
  if (subscriptions_.erase(ToAbsl(name)) == 0) return false;
  if (pending_.size() > 2 * subscriptions_.size() + kMaxForgottenNames) {
    pending_.clear();
    for (const auto& [kept, subscription] : subscriptions_) {
      if (subscription.pending) pending_.push_back(kept);
    }
  }
  return true;
}

void TypeSession::MarkChanged(std::string_view name, absl::Time since) {
  const auto found = subscriptions_.find(ToAbsl(name));
  if (found == subscriptions_.end()) return;
  Subscription& subscription = found->second;
  subscription.changed = std::min(since, subscription.changed.value_or(since));
  MakePending(found->first, subscription);
}

size_t TypeSession::Add(const std::string& name, ResourcePtr resource, Subscription& subscription,
                        Response& response) {
  using Known = Subscription::Known;
  const std::optional<absl::Time> changed = std::exchange(subscription.changed, std::nullopt);
  const bool has_it = resource == nullptr ? subscription.known == Known::kAbsence
                                          : (subscription.known == Known::kVersion &&
                                             subscription.version == resource->version) ||
                                                (subscription.known == Known::kResource &&
                                                 subscription.sent->version == resource->version);
  subscription.known = resource == nullptr ? Known::kAbsence : Known::kResource;
  subscription.version.clear();
  subscription.sent = resource;
  if (has_it) return 0;
  if (changed.has_value()) {
    outstanding_since_ = std::min(*changed, outstanding_since_.value_or(*changed));
  }
  if (resource == nullptr) {
    response.removed.push_back(name);
    return kEnvelopeBytes;
  }
  const size_t bytes = resource->bytes.size() + kEnvelopeBytes;
  response.resources.push_back(std::move(resource));
  return bytes;
}

std::optional<Response> TypeSession::Next(Catalogue& catalogue, std::string nonce,
                                          size_t max_bytes) {
  if (!outstanding_.empty()) return std::nullopt;
  Response response{.type = type_, .nonce = std::move(nonce), .resources = {}, .removed = {}};
  outstanding_since_.reset();
  size_t bytes = 0;
  while (!pending_.empty() && bytes < max_bytes) {
    const std::string name = std::move(pending_.front());
    pending_.pop_front();
    const auto found = subscriptions_.find(name);
    if (found == subscriptions_.end() || !found->second.pending) continue;
    found->second.pending = false;
    bytes += Add(name, catalogue.Get({type_, name}), found->second, response);
  }
  if (response.resources.empty() && response.removed.empty()) return std::nullopt;
  outstanding_ = response.nonce;
  return response;
}

std::optional<TypeSession::Acknowledged> TypeSession::Acknowledge(
    std::string_view nonce, std::optional<std::string_view> refusal, absl::Time now) {
  if (nonce.empty() || nonce != outstanding_) return std::nullopt;
  outstanding_.clear();
  Acknowledged acknowledged{.refused = refusal.has_value(),
                            .since = std::exchange(outstanding_since_, std::nullopt)};
  if (refusal.has_value()) {
    nack_ = refusal->empty() ? "refused without a reason" : refusal->substr(0, kMaxNackBytes);
    return acknowledged;
  }
  nack_.clear();
  last_acked_ = nonce;
  last_ack_ = now;
  return acknowledged;
}

std::optional<ResourcePtr> TypeSession::HeldResource(std::string_view name) const {
  const auto found = subscriptions_.find(ToAbsl(name));
  if (found == subscriptions_.end()) return std::nullopt;
  if (!outstanding_.empty() || !nack_.empty()) return ResourcePtr();
  return found->second.sent;
}

v1::TypeState TypeSession::Describe() const {
  v1::TypeState state;
  state.set_type(std::string(compile::TypeName(type_)));
  state.set_subscribed(static_cast<uint32_t>(subscriptions_.size()));
  state.set_sent(static_cast<uint32_t>(std::ranges::count_if(
      subscriptions_, [](const auto& entry) { return entry.second.sent != nullptr; })));
  if (last_ack_ != absl::InfinitePast()) {
    *state.mutable_last_ack() =
        google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(last_ack_));
  }
  state.set_last_nonce_acked(last_acked_);
  state.set_nack(nack_);
  return state;
}

void TypeSession::ForEachName(const std::function<void(const std::string&)>& visit) const {
  for (const auto& entry : subscriptions_) visit(entry.first);
}

void TypeSession::ForEachSent(const std::function<void(const ResourcePtr&)>& visit) const {
  for (const auto& [name, subscription] : subscriptions_) {
    if (subscription.sent != nullptr) visit(subscription.sent);
  }
}

}  // namespace weft::discovery
