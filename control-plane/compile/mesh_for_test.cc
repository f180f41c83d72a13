#include "control-plane/compile/mesh_for_test.h"

#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "control-plane/source/manifest.h"

namespace weft::compile {

const char kTea[] = R"(
apiVersion: v1
kind: Service
metadata: {name: tea.1, namespace: shop}
spec:
  clusterIP: 10.0.0.1
  selector: {app: tea, version: v1}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: tea.2, namespace: shop}
spec:
  clusterIP: 10.0.0.2
  selector: {app: tea, version: v2}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: v1
kind: Pod
metadata: {name: tea-1, namespace: shop, labels: {app: tea, version: v1}}
spec:
  serviceAccountName: tea-one
  containers: [{name: app}, {name: weft-sidecar}]
status: {phase: Running, podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: tea-2, namespace: shop, labels: {app: tea, version: v2}}
spec:
  serviceAccountName: tea-two
  initContainers: [{name: weft-sidecar}]
  containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]
status: {phase: Running, podIP: 10.1.0.2}
)";

const char kCookieCanary[] = R"(
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: canary, namespace: shop}
spec:
  service: tea.1
  backends:
  - {service: tea.1, weight: 0}
  - {service: tea.2, weight: 100}
  matches:
  - {kind: HTTPRouteGroup, name: beta}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: beta, namespace: shop}
spec:
  matches:
  - name: beta-users
    headers: {cookie: "version=beta"}
)";

MeshForTest::MeshForTest(Compiler::Options options) : compiler_(std::move(options)) {
  compiler_.SetListener([this](const std::vector<ResourceKey>& keys) {
    for (const ResourceKey& key : keys) {
      announced_.push_back(absl::StrCat(ToAbsl(TypeName(key.type)), " ", key.name));
    }
  });
}

void MeshForTest::Apply(std::string_view yaml) {
  source::Manifest manifest = source::ParseManifest(yaml, "test");
  for (const auto& error : manifest.errors) ADD_FAILURE() << error.ShortDebugString();
  compiler_.Apply(std::move(manifest.objects));
}

void MeshForTest::Remove(store::Kind kind, std::string name_space, std::string name) {
  compiler_.Apply({{{kind, std::move(name_space), std::move(name)}, nullptr}});
}

template <typename T>
std::optional<T> MeshForTest::Get(ResourceType type, std::string_view name) {
  std::shared_ptr<const Resource> resource = compiler_.Get({type, std::string(name)});
  if (resource == nullptr) return std::nullopt;
  T message;
  EXPECT_TRUE(message.ParseFromString(resource->bytes));
  EXPECT_EQ(resource->key.name, name);
  return message;
}

std::optional<weft::v1::Destination> MeshForTest::Destination(std::string_view name) {
  return Get<weft::v1::Destination>(ResourceType::kDestination, name);
}

std::optional<weft::v1::Endpoints> MeshForTest::Endpoints(std::string_view name) {
  return Get<weft::v1::Endpoints>(ResourceType::kEndpoints, name);
}

std::optional<weft::v1::Workload> MeshForTest::Workload(std::string_view name) {
  return Get<weft::v1::Workload>(ResourceType::kWorkload, name);
}

namespace {

std::string Short(const weft::v1::HttpMatch& match) {
  std::vector<std::string> conditions;
  if (!match.methods().empty()) conditions.push_back(absl::StrJoin(match.methods(), "|"));
  if (!match.path_regex().empty()) conditions.push_back(absl::StrCat("path~", match.path_regex()));
  for (const auto& header : match.headers()) {
    conditions.push_back(absl::StrCat(header.name(), "~", header.regex()));
  }
  for (const auto& cookie : match.cookies()) {
    conditions.push_back(absl::StrCat("cookie:", cookie.name(), "~", cookie.regex()));
  }
  return conditions.empty() ? "any" : absl::StrJoin(conditions, " & ");
}

std::string Short(const weft::v1::Rule& rule) {
  std::vector<std::string> matches, backends;
  for (const auto& match : rule.matches()) matches.push_back(Short(match));
  for (const auto& backend : rule.backends()) {
    absl::string_view service = backend.service().empty() ? backend.endpoints() : backend.service();
    absl::ConsumePrefix(&service, "shop/");
    backends.push_back(
        absl::StrCat(service, backend.endpoints().empty() ? "!" : "", "=", backend.weight()));
  }
  return absl::StrCat("[", matches.empty() ? "*" : absl::StrJoin(matches, " | "), "] ",
                      backends.empty() ? "nobody" : absl::StrJoin(backends, " "));
}

}  // namespace

std::string MeshForTest::Rules(std::string_view destination) {
  std::optional<weft::v1::Destination> found = Destination(destination);
  if (!found) return "none";
  return absl::StrJoin(found->rules(), "; ", [](std::string* out, const weft::v1::Rule& rule) {
    out->append(Short(rule));
  });
}

std::string MeshForTest::Addresses(std::string_view endpoints) {
  std::optional<weft::v1::Endpoints> found = Endpoints(endpoints);
  if (!found) return "none";
  return absl::StrJoin(found->endpoints(), " ", [](std::string* out, const auto& endpoint) {
    absl::StrAppend(out, endpoint.address(), ":", endpoint.port(),
                    endpoint.health() == weft::v1::HEALTH_DRAINING ? "(draining)" : "");
  });
}

std::vector<std::string> MeshForTest::TakeAnnounced() { return std::exchange(announced_, {}); }

std::vector<std::string> MeshForTest::Findings() {
  std::vector<std::string> findings;
  for (const weft::v1::Finding& finding : compiler_.Findings()) {
    EXPECT_NE(finding.message(), "");
    EXPECT_NE(finding.remedy(), "");
    findings.push_back(
        absl::StrCat(finding.reason(), " at ", finding.object(), " ", finding.field()));
  }
  return findings;
}

}  // namespace weft::compile
