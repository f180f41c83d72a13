#include "sidecar/discovery/delta_session.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "base/version.h"

namespace weft::discovery {
namespace {

constexpr size_t kMaxRefusalBytes = 4096;
// Names in one request; more go in the next.
constexpr int kMaxNames = 5'000;

std::string Refusal(const std::vector<std::string>& errors) {
  std::string text = absl::StrJoin(errors, "; ");
  if (text.size() > kMaxRefusalBytes) {
    text.resize(kMaxRefusalBytes);
    absl::StrAppend(&text, "... (", errors.size(), " resources refused)");
  }
  return text;
}

}  // namespace

DeltaSession::DeltaSession(std::string node_id, Subscriptions* subscriptions,
                           std::function<void()> on_work)
    : node_id_(std::move(node_id)), subscriptions_(subscriptions), on_work_(std::move(on_work)) {
  subscriptions_->Observe(this);
}

DeltaSession::~DeltaSession() { subscriptions_->StopObserving(this); }

void DeltaSession::OnWanted(ResourceType type, const std::string& name) {
  TypeStream& stream = streams_[static_cast<size_t>(type)];
  // Asking again for what the stream is subscribed to makes the control plane send it again.
  if (stream.opened) stream.subscribe.insert(name);
  stream.unsubscribe.erase(name);
  on_work_();
}

void DeltaSession::OnUnwanted(ResourceType type, const std::string& name) {
  TypeStream& stream = streams_[static_cast<size_t>(type)];
  stream.subscribe.erase(name);
  if (stream.opened) stream.unsubscribe.insert(name);
  on_work_();
}

bool DeltaSession::NextRequest(Request& request) {
  request.Clear();
  bool filled = false;
  for (size_t i = 0; i < kTypes && !filled; ++i) {
    const auto type = static_cast<ResourceType>(i);
    filled = streams_[i].opened ? FillChange(type, streams_[i], request)
                                : FillOpening(type, streams_[i], request);
    if (filled) request.set_type_url(std::string(TypeUrl(type)));
  }
  if (!filled) return false;
  if (!introduced_) {
    introduced_ = true;
    auto* node = request.mutable_node();
    node->set_id(node_id_);
    node->set_user_agent_name("weft-sidecar");
    node->set_user_agent_version(std::string(kVersion));
  }
  return true;
}

bool DeltaSession::FillOpening(ResourceType type, TypeStream& stream, Request& request) {
  // To name nothing would mean to ask for everything.
  const Subscriptions::Table& table = std::as_const(*subscriptions_).table(type);
  if (table.empty()) return false;
  stream.opened = true;
  auto& versions = *request.mutable_initial_resource_versions();
  for (const auto& [name, resource] : table) {
    request.add_resource_names_subscribe(name);
    if (!resource.version.empty()) versions[name] = resource.version;
  }
  return true;
}

bool DeltaSession::FillChange(ResourceType type, TypeStream& stream, Request& request) {
  bool filled = false;
  if (!stream.answers.empty()) {
    Answer answer = std::move(stream.answers.front());
    stream.answers.pop_front();
    request.set_response_nonce(std::move(answer.nonce));
    if (!answer.refusal.empty()) {
      request.mutable_error_detail()->set_code(
          static_cast<int>(absl::StatusCode::kInvalidArgument));
      request.mutable_error_detail()->set_message(std::move(answer.refusal));
    }
    filled = true;
  }
  int names = 0;
  const auto move_names = [&](absl::flat_hash_set<std::string>& from, auto* into) {
    while (!from.empty() && names < kMaxNames) {
      into->Add(std::move(from.extract(from.begin()).value()));
      ++names;
      filled = true;
    }
  };
  move_names(stream.subscribe, request.mutable_resource_names_subscribe());
  move_names(stream.unsubscribe, request.mutable_resource_names_unsubscribe());
  return filled;
}

DeltaSession::Handled DeltaSession::Handle(const Response& response) {
  const std::optional<ResourceType> type = TypeOfUrl(response.type_url());
  if (!type.has_value()) {
    // Nobody asked for it, and there is no subscription of that type to answer in.
    return {.accepted = false,
            .refusal = absl::StrCat("type_url \"", response.type_url(), "\" was not asked for")};
  }
  std::vector<std::string> errors;
  for (const auto& resource : response.resources()) {
    if (!resource.has_resource()) continue;  // a heartbeat: still as it was
    if (resource.resource().type_url() != response.type_url()) {
      errors.push_back(absl::StrCat(ToAbsl(TypeName(*type)), " \"", resource.name(),
                                    "\": its type_url is \"", resource.resource().type_url(),
                                    "\""));
      continue;
    }
    const absl::Status applied = subscriptions_->Apply(*type, resource.name(), resource.version(),
                                                       resource.resource().value());
    if (!applied.ok()) errors.push_back(std::string(applied.message()));
  }
  for (const std::string& name : response.removed_resources()) subscriptions_->Remove(*type, name);
  Handled handled{.accepted = errors.empty(), .refusal = Refusal(errors)};
  streams_[static_cast<size_t>(*type)].answers.push_back(
      {.nonce = response.nonce(), .refusal = handled.refusal});
  on_work_();
  return handled;
}

}  // namespace weft::discovery
