#include "sidecar/discovery/subscriptions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sidecar/upstream/balance/endpoint_config.h"

namespace weft::discovery {
namespace {

ResourceType TypeOf(OnDemand type) {
  return type == OnDemand::kDestination ? ResourceType::kDestination : ResourceType::kEndpoints;
}

template <typename Message>
absl::StatusOr<std::shared_ptr<const Message>> Parse(const std::string& bytes) {
  auto message = std::make_shared<Message>();
  if (!message->ParseFromString(bytes)) return absl::InvalidArgumentError("not well-formed");
  return message;
}

absl::Status CheckWorkload(const weft::v1::Workload& workload) {
  for (int i = 0; i < workload.inbound_ports_size(); ++i) {
    const uint32_t port = workload.inbound_ports(i).port();
    if (port == 0 || port > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("inbound_ports[", i, "].port: ", port, " is no port from 1 to 65535"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Subscriptions::Subscriptions(std::string workload, std::string trust_domain,
                             TrustBundleSink trust_bundle)
    : trust_bundle_(std::move(trust_bundle)) {
  table(ResourceType::kTrustBundle)[std::move(trust_domain)].always = true;
  table(ResourceType::kMeshSettings)["default"].always = true;
  table(ResourceType::kWorkload)[std::move(workload)].always = true;
}

void Subscriptions::AddWorker(io::Reactor* reactor, Subscriber* subscriber) {
  workers_.push_back({reactor, subscriber});
}

uint32_t Subscriptions::WorkerOf(const Subscriber* subscriber) const {
  const auto found = std::ranges::find(workers_, subscriber, &Worker::subscriber);
  return static_cast<uint32_t>(found - workers_.begin());
}

void Subscriptions::Want(Subscriber* subscriber, OnDemand on_demand, const std::string& name) {
  const ResourceType type = TypeOf(on_demand);
  const uint32_t worker = WorkerOf(subscriber);
  if (worker == workers_.size()) return;
  Resource& resource = table(type)[name];
  const bool is_new = !resource.wanted();
  if (std::ranges::find(resource.workers, worker) == resource.workers.end()) {
    resource.workers.push_back(worker);
  }
  if (is_new && observer_ != nullptr) observer_->OnWanted(type, name);
  if (resource.answer != Answer::kAsked) Tell(workers_[worker], type, name, resource);
}

void Subscriptions::Unwant(Subscriber* subscriber, OnDemand on_demand, const std::string& name) {
  const ResourceType type = TypeOf(on_demand);
  const auto found = table(type).find(name);
  if (found == table(type).end()) return;
  std::erase(found->second.workers, WorkerOf(subscriber));
  DropIfUnwanted(type, name);
}

void Subscriptions::SetRefused(Resource& resource, std::string why) {
  if (!resource.refused.empty()) --refused_;
  resource.refused = std::move(why);
  if (!resource.refused.empty()) ++refused_;
}

void Subscriptions::DropIfUnwanted(ResourceType type, const std::string& name) {
  const auto found = table(type).find(name);
  if (found == table(type).end() || found->second.wanted()) return;
  const std::shared_ptr<const route::Destination> destination =
      std::move(found->second.destination);
  const std::string dropped = found->first;  // `name` may be the key itself
  SetRefused(found->second, "");
  table(type).erase(found);
  if (observer_ != nullptr) observer_->OnUnwanted(type, dropped);
  if (destination != nullptr) ReleaseEndpointsOf(*destination);
}

void Subscriptions::HoldEndpointsOf(const route::Destination& destination) {
  for (const std::string& name : destination.endpoints()) {
    Resource& resource = table(ResourceType::kEndpoints)[name];
    const bool is_new = !resource.wanted();
    ++resource.destinations;
    if (is_new && observer_ != nullptr) observer_->OnWanted(ResourceType::kEndpoints, name);
  }
}

void Subscriptions::ReleaseEndpointsOf(const route::Destination& destination) {
  for (const std::string& name : destination.endpoints()) {
    const auto found = table(ResourceType::kEndpoints).find(name);
    if (found == table(ResourceType::kEndpoints).end()) continue;
    --found->second.destinations;
    DropIfUnwanted(ResourceType::kEndpoints, name);
  }
}

absl::Status Subscriptions::Hold(ResourceType type, const std::string& name,
                                 const std::string& bytes, Resource& resource) {
  switch (type) {
    case ResourceType::kTrustBundle: {
      const auto bundle = Parse<weft::v1::TrustBundle>(bytes);
      if (!bundle.ok()) return bundle.status();
      if (absl::Status taken = trust_bundle_(**bundle); !taken.ok()) return taken;
      has_trust_bundle_ = true;
      return absl::OkStatus();
    }
    case ResourceType::kMeshSettings: {
      auto settings = Parse<weft::v1::MeshSettings>(bytes);
      if (!settings.ok()) return settings.status();
      settings_ = *std::move(settings);
      return absl::OkStatus();
    }
    case ResourceType::kWorkload: {
      auto workload = Parse<weft::v1::Workload>(bytes);
      if (!workload.ok()) return workload.status();
      if (absl::Status valid = CheckWorkload(**workload); !valid.ok()) return valid;
      workload_ = *std::move(workload);
      return absl::OkStatus();
    }
    case ResourceType::kEndpoints: {
      auto endpoints = Parse<weft::v1::Endpoints>(bytes);
      if (!endpoints.ok()) return endpoints.status();
      // What workers will read it with.
      const auto readable = upstream::ParseEndpoints(name, **endpoints);
      if (!readable.ok()) return readable.status();
      resource.endpoints = *std::move(endpoints);
      return absl::OkStatus();
    }
    case ResourceType::kDestination: {
      const auto message = Parse<weft::v1::Destination>(bytes);
      if (!message.ok()) return message.status();
      auto compiled = route::Destination::Compile(name, **message);
      if (!compiled.ok()) return compiled.status();
      // The new ones first: endpoints that both have are not dropped in between.
      const auto previous = std::exchange(resource.destination, *std::move(compiled));
      HoldEndpointsOf(*resource.destination);
      if (previous != nullptr) ReleaseEndpointsOf(*previous);
      return absl::OkStatus();
    }
  }
  return absl::InternalError("unknown type");
}

absl::Status Subscriptions::Apply(ResourceType type, const std::string& name,
                                  const std::string& version, const std::string& bytes) {
  const auto found = table(type).find(name);
  if (found == table(type).end()) return absl::OkStatus();
  Resource& resource = found->second;
  if (const absl::Status held = Hold(type, name, bytes, resource); !held.ok()) {
    SetRefused(resource, absl::StrCat("version ", version, ": ", held.message()));
    // Some errors name the resource themselves.
    if (absl::StrContains(held.message(), name)) return held;
    return absl::InvalidArgumentError(
        absl::StrCat(ToAbsl(TypeName(type)), " ", name, ": ", held.message()));
  }
  resource.answer = Answer::kPresent;
  resource.version = version;
  SetRefused(resource, "");
  // The parsed endpoints are at hand; the others are kept to be shown.
  if (type != ResourceType::kEndpoints) resource.bytes = bytes;
  TellAll(type, name, resource);
  return absl::OkStatus();
}

void Subscriptions::Remove(ResourceType type, const std::string& name) {
  const auto found = table(type).find(name);
  if (found == table(type).end()) return;
  Resource& resource = found->second;
  if (resource.always || resource.answer == Answer::kAbsent) return;
  resource.answer = Answer::kAbsent;
  resource.version.clear();
  resource.bytes.clear();
  SetRefused(resource, "");
  resource.endpoints.reset();
  const auto previous = std::exchange(resource.destination, nullptr);
  TellAll(type, name, resource);
  if (previous != nullptr) ReleaseEndpointsOf(*previous);
}

void Subscriptions::TellAll(ResourceType type, const std::string& name, const Resource& resource) {
  if (type == ResourceType::kWorkload || type == ResourceType::kMeshSettings) {
    for (const Worker& worker : workers_) Tell(worker, type, name, resource);
    return;
  }
  for (const uint32_t worker : resource.workers) Tell(workers_[worker], type, name, resource);
}

void Subscriptions::Tell(const Worker& worker, ResourceType type, const std::string& name,
                         const Resource& resource) {
  Subscriber* const subscriber = worker.subscriber;
  switch (type) {
    case ResourceType::kTrustBundle:
      break;
    case ResourceType::kMeshSettings:
      worker.reactor->Post(
          [subscriber, settings = settings_] { subscriber->OnSettings(settings); });
      break;
    case ResourceType::kWorkload:
      worker.reactor->Post(
          [subscriber, workload = workload_] { subscriber->OnWorkload(workload); });
      break;
    case ResourceType::kDestination:
      worker.reactor->Post(
          [subscriber, name, answer = resource.answer, destination = resource.destination] {
            subscriber->OnDestination(name, answer, destination);
          });
      break;
    case ResourceType::kEndpoints:
      worker.reactor->Post(
          [subscriber, name, answer = resource.answer, endpoints = resource.endpoints] {
            subscriber->OnEndpoints(name, answer, endpoints);
          });
      break;
  }
}

}  // namespace weft::discovery
