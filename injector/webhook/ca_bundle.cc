#include "injector/webhook/ca_bundle.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/kubernetes/status.h"
#include "base/log.h"
#include "base/strings.h"
#include "injector/webhook/certificate.h"

namespace weft::webhook {
namespace {

using inject::ArrayAt;
using inject::Find;
using inject::Json;
using inject::StringAt;

constexpr char kApi[] = "/apis/admissionregistration.k8s.io/v1/";
constexpr const char* kResources[] = {"mutatingwebhookconfigurations",
                                      "validatingwebhookconfigurations"};
constexpr int kAttempts = 4;  // when somebody else writes at the same time
constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr size_t kMaxConfigurationBytes = 4 << 20;

Json Step(const char* operation, std::string path, Json value) {
  Json step = Json::object();
  step["op"] = operation;
  step["path"] = std::move(path);
  step["value"] = std::move(value);
  return step;
}

}  // namespace

std::optional<std::string> BundlePolicy::Replacement(std::string_view current,
                                                     const std::vector<std::string>& roots,
                                                     absl::Time now) {
  const std::vector<std::string> present =
      CertificatesIn(current).value_or(std::vector<std::string>());
  std::set<std::string> wanted(roots.begin(), roots.end());
  std::map<std::string, absl::Time> unknown;
  bool drops = false;
  for (const std::string& certificate : present) {
    if (wanted.contains(certificate)) continue;
    const auto known_for = unknown_since_.find(certificate);
    const absl::Time since = known_for == unknown_since_.end() ? now : known_for->second;
    if (now - since >= patience_) {
      drops = true;
    } else {
      unknown.emplace(certificate, since);
    }
  }
  unknown_since_ = std::move(unknown);
  const bool complete = std::ranges::all_of(wanted, [&](const std::string& root) {
    return std::ranges::find(present, root) != present.end();
  });
  if (complete && !drops) return std::nullopt;
  for (const auto& [certificate, since] : unknown_since_) wanted.insert(certificate);
  return absl::StrJoin(wanted, "");
}

Json CaBundlePatch(const Json& configuration, const std::vector<std::string>& roots,
                   BundlePolicies& policies, absl::Time now) {
  Json patch = Json::array();
  const Json& webhooks = ArrayAt(configuration, "webhooks");
  for (size_t i = 0; i < webhooks.size(); ++i) {
    const Json* client = Find(webhooks[i], "clientConfig");
    if (client == nullptr || !client->is_object()) continue;
    std::string current;
    absl::Base64Unescape(StringAt(*client, "caBundle"), &current);
    const std::string name = StringAt(webhooks[i], "name");
    const std::optional<std::string> bundle = policies[name].Replacement(current, roots, now);
    if (!bundle) continue;
    const std::string at = absl::StrCat("/webhooks/", i);
    patch.push_back(Step("test", absl::StrCat(at, "/name"), name));
    patch.push_back(
        Step("add", absl::StrCat(at, "/clientConfig/caBundle"), absl::Base64Escape(*bundle)));
  }
  return patch;
}

CaBundleWriter::CaBundleWriter(kubernetes::Client& client, std::string name, Roots roots,
                               Metrics& metrics, absl::Duration look_again)
    : client_(client),
      name_(std::move(name)),
      roots_(std::move(roots)),
      metrics_(metrics),
      look_again_(look_again),
      thread_([this] { Run(); }) {}

CaBundleWriter::~CaBundleWriter() {
  stop_.Cancel();
  thread_.join();
}

void CaBundleWriter::Run() {
  std::string last_error;
  do {
    const std::vector<std::string> roots = roots_();
    if (roots.empty()) continue;  // no certificate yet
    absl::Status status;
    for (const char* resource : kResources) {
      status.Update(Refresh(absl::StrCat(kApi, resource, "/", name_), roots));
    }
    if (status.ok()) {
      written_ = true;
    } else if (status.ToString() != last_error && !stop_.cancelled()) {
      WEFT_LOG_ERROR("caBundle: {}", status.ToString());
    }
    last_error = status.ok() ? "" : status.ToString();
  } while (stop_.Sleep(look_again_));
}

absl::Status CaBundleWriter::Refresh(const std::string& path,
                                     const std::vector<std::string>& roots) {
  const std::string subject = path.substr(sizeof kApi - 1);
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts && !stop_.cancelled(); ++attempt) {
    absl::StatusOr<kubernetes::Response> response = client_.Call(
        {.path = path, .timeout = kCallTimeout, .max_response_bytes = kMaxConfigurationBytes},
        &stop_);
    if (!response.ok()) return response.status();
    status = kubernetes::StatusOf(*response, "get", subject);
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (!status.ok()) return status;
    const absl::StatusOr<Json> configuration = inject::ParseJson(response->body);
    if (!configuration.ok()) return configuration.status();
    const Json patch = CaBundlePatch(*configuration, roots, policies_[path], absl::Now());
    if (patch.empty()) return absl::OkStatus();

    response = client_.Call({.method = "PATCH",
                             .path = absl::StrCat(path, "?fieldManager=weft-injector"),
                             .body = inject::Dump(patch),
                             .content_type = "application/json-patch+json",
                             .timeout = kCallTimeout,
                             .max_response_bytes = kMaxConfigurationBytes},
                            &stop_);
    if (!response.ok()) return response.status();
    status = kubernetes::StatusOf(*response, "patch", subject);
    metrics_.CaBundleWrites(status.ok() ? "ok" : "failed").Increment();
    if (status.ok()) {
      WEFT_LOG_INFO("wrote caBundle into {}", subject);
      return status;
    }
    // Changed since it was read (409, or a failed test): look again.
    if (!absl::IsAborted(status) && !absl::IsInvalidArgument(status)) return status;
  }
  return status;
}

}  // namespace weft::webhook
