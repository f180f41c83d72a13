#include "control-plane/inspect/inspect_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/version.h"
#include "control-plane/ca/caller.h"
#include "control-plane/ca/operator_access.h"
#include "control-plane/discovery/stream.h"
#include "google/protobuf/util/time_util.h"

namespace weft::inspect {
namespace {

using compile::ResourceType;

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
}

// The message of the resource inside `config`, by its type.
google::protobuf::MessageLite& PayloadOf(ResourceType type, v1::ConfigResource& config) {
  switch (type) {
    case ResourceType::kWorkload:
      return *config.mutable_workload();
    case ResourceType::kDestination:
      return *config.mutable_destination();
    case ResourceType::kEndpoints:
      return *config.mutable_endpoints();
    case ResourceType::kTrustBundle:
      return *config.mutable_trust_bundle();
    case ResourceType::kMeshSettings:
      break;
  }
  return *config.mutable_mesh_settings();
}

}  // namespace

std::vector<v1::Finding> AllFindings(const About& about, const compile::Compiler& compiler) {
  std::vector<v1::Finding> findings;
  if (about.source_findings) findings = about.source_findings();
  for (v1::Finding& finding : compiler.Findings()) findings.push_back(std::move(finding));
  return findings;
}

InspectService::InspectService(const compile::Compiler& compiler, const discovery::Hub& hub,
                               std::string operator_token, About about)
    : compiler_(compiler),
      hub_(hub),
      operator_token_(std::move(operator_token)),
      about_(std::move(about)) {}

grpc::ServerUnaryReactor* InspectService::Answer(
    grpc::CallbackServerContext* context, const std::function<absl::Status()>& answer) const {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status = ca::CheckOperator(*context, operator_token_);
  if (status.ok()) status = answer();
  reactor->Finish(ca::ToGrpc(status));
  return reactor;
}

absl::Status InspectService::FillStatus(v1::GetStatusResponse& response) const {
  const compile::Compiler::Counts counts = compiler_.GetCounts();
  response.set_version(std::string(kVersion));
  *response.mutable_started() = ToTimestamp(about_.started);
  response.set_source(about_.source);
  response.set_source_synced(true);  // the first read is over before the service is there
  response.set_trust_domain(about_.trust_domain);
  response.set_mtls_mode(compiler_.Settings().mtls_mode());
  *response.mutable_root_not_after() = ToTimestamp(about_.root_not_after());
  v1::ListProxiesResponse proxies;
  if (absl::Status listed = FillProxies("", proxies); !listed.ok()) return listed;
  response.set_connected_proxies(static_cast<uint32_t>(proxies.proxies_size()));
  response.set_services(counts.services);
  response.set_endpoints(counts.endpoints);
  response.set_splits(counts.splits);
  for (v1::Finding& finding : AllFindings(about_, compiler_)) {
    *response.add_findings() = std::move(finding);
  }
  return absl::OkStatus();
}

absl::Status InspectService::FillProxies(std::string_view name_space,
                                         v1::ListProxiesResponse& response) const {
  const std::string prefix = absl::StrCat(ToAbsl(name_space), "/");
  for (const std::shared_ptr<discovery::Stream>& stream : hub_.Streams()) {
    std::optional<v1::Proxy> proxy = stream->Describe();
    if (!proxy.has_value()) continue;
    if (!name_space.empty() && !proxy->id().starts_with(prefix)) continue;
    *response.add_proxies() = *std::move(proxy);
  }
  std::sort(response.mutable_proxies()->begin(), response.mutable_proxies()->end(),
            [](const v1::Proxy& a, const v1::Proxy& b) {
              return std::tuple(a.id(), a.connected().seconds(), a.connected().nanos()) <
                     std::tuple(b.id(), b.connected().seconds(), b.connected().nanos());
            });
  return absl::OkStatus();
}

absl::Status InspectService::FillConfig(std::string_view workload,
                                        v1::GetProxyConfigResponse& response) const {
  if (absl::Status valid = ca::ParseWorkloadName(workload, "id").status(); !valid.ok()) {
    return valid;
  }
  const std::vector<std::shared_ptr<discovery::Stream>> streams = hub_.StreamsOf(workload);
  if (streams.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no sidecar of ", ToAbsl(workload), " is connected to this control plane"));
  }
  // Of several streams (a reconnect that is just happening) the latest counts.
  const auto latest = std::ranges::max_element(streams, {}, &discovery::Stream::connected);
  std::vector<discovery::ResourcePtr> sent = (*latest)->Sent();
  std::ranges::sort(sent, {}, [](const discovery::ResourcePtr& resource) { return resource->key; });
  for (const discovery::ResourcePtr& resource : sent) {
    v1::ConfigResource& config = *response.add_resources();
    config.set_type(std::string(compile::TypeName(resource->key.type)));
    config.set_name(resource->key.name);
    config.set_version(resource->version);
    if (!PayloadOf(resource->key.type, config).ParseFromString(resource->bytes)) {
      return absl::InternalError(absl::StrCat("resource ", resource->key.name, " does not parse"));
    }
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* InspectService::GetStatus(grpc::CallbackServerContext* context,
                                                    const v1::GetStatusRequest* request,
                                                    v1::GetStatusResponse* response) {
  return Answer(context, [&] { return FillStatus(*response); });
}

grpc::ServerUnaryReactor* InspectService::ListProxies(grpc::CallbackServerContext* context,
                                                      const v1::ListProxiesRequest* request,
                                                      v1::ListProxiesResponse* response) {
  return Answer(context, [&] { return FillProxies(request->namespace_(), *response); });
}

grpc::ServerUnaryReactor* InspectService::ListServices(grpc::CallbackServerContext* context,
                                                       const v1::ListServicesRequest* request,
                                                       v1::ListServicesResponse* response) {
  return Answer(context, [&] {
    *response = compiler_.ListServices(request->namespace_());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* InspectService::ListSplits(grpc::CallbackServerContext* context,
                                                     const v1::ListSplitsRequest* request,
                                                     v1::ListSplitsResponse* response) {
  return Answer(context, [&] {
    *response = compiler_.ListSplits(request->namespace_());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* InspectService::ResolveRoute(grpc::CallbackServerContext* context,
                                                       const v1::ResolveRouteRequest* request,
                                                       v1::ResolveRouteResponse* response) {
  return Answer(context, [&] {
    absl::StatusOr<v1::ResolveRouteResponse> resolved = compiler_.ResolveRoute(*request);
    if (!resolved.ok()) return resolved.status();
    *response = *std::move(resolved);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* InspectService::GetProxyConfig(grpc::CallbackServerContext* context,
                                                         const v1::GetProxyConfigRequest* request,
                                                         v1::GetProxyConfigResponse* response) {
  return Answer(context, [&] { return FillConfig(request->id(), *response); });
}

}  // namespace weft::inspect
