#include "control-plane/kubernetes/event_recorder.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/kubernetes/status.h"
#include "base/strings.h"

namespace weft::cluster {
namespace {

using nlohmann::json;

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr size_t kMaxMessageBytes = 1024;  // the server's limit
constexpr size_t kMaxObjectName = 220;     // a name has 253 at most, with the hash
constexpr char kComponent[] = "weft-control-plane";

// FNV-1a: the same on every replica and in every version.
uint64_t Hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string NameOf(const Event& event) {
  const std::string identity =
      absl::StrCat(event.uid, "\n", event.reason, "\n", event.subject, "\n", event.warning);
  std::string name = event.object.name.substr(0, kMaxObjectName);
  while (!name.empty() && (name.back() == '.' || name.back() == '-')) name.pop_back();
  return absl::StrCat(name, ".", absl::Hex(Hash(identity), absl::kZeroPad16));
}

std::string Timestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", time, absl::UTCTimeZone());
}

// What JSON text can be: bytes that are no UTF-8 are replaced.
std::string Text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json ToJson(const Event& event, const std::string& instance, absl::Time now) {
  const std::string time = Timestamp(now);
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata", {{"name", NameOf(event)}, {"namespace", event.object.name_space}}},
          {"involvedObject",
           {{"apiVersion", event.api_version},
            {"kind", std::string(store::KindName(event.object.kind))},
            {"namespace", event.object.name_space},
            {"name", event.object.name},
            {"uid", event.uid}}},
          {"type", event.warning ? "Warning" : "Normal"},
          {"reason", event.reason},
          {"message", event.message.substr(0, kMaxMessageBytes)},
          {"source", {{"component", kComponent}}},
          {"reportingComponent", kComponent},
          {"reportingInstance", instance},
          {"firstTimestamp", time},
          {"lastTimestamp", time},
          {"count", 1}};
}

}  // namespace

absl::Status EventRecorder::Record(const Event& event, bool known, absl::Time now,
                                   const kubernetes::Cancellation& cancellation) {
  const std::string path = absl::StrCat("/api/v1/namespaces/",
                                        kubernetes::EscapeUrl(event.object.name_space), "/events");
  const absl::StatusOr<kubernetes::Response> response =
      client_.Call({.method = "POST",
                    .path = path,
                    .body = Text(ToJson(event, instance_, now)),
                    .timeout = kTimeout},
                   &cancellation);
  if (!response.ok()) return response.status();
  const absl::Status status = kubernetes::StatusOf(*response, "create", "events");
  if (absl::IsNotFound(status)) return absl::OkStatus();
  if (absl::IsPermissionDenied(status) &&
      response->body.find("NamespaceTerminating") != std::string::npos) {
    return absl::OkStatus();
  }
  if (!absl::IsAlreadyExists(status)) return status;
  if (known) return absl::OkStatus();
  return CountOneMore(absl::StrCat(path, "/", kubernetes::EscapeUrl(NameOf(event))), event, now,
                      cancellation);
}

absl::Status EventRecorder::CountOneMore(const std::string& path, const Event& event,
                                         absl::Time now,
                                         const kubernetes::Cancellation& cancellation) {
  absl::StatusOr<kubernetes::Response> response =
      client_.Call({.path = path, .timeout = kTimeout}, &cancellation);
  if (!response.ok()) return response.status();
  absl::Status status = kubernetes::StatusOf(*response, "get", "events");
  // It has expired just now: it can be made anew.
  if (absl::IsNotFound(status)) return absl::AbortedError(status.message());
  if (!status.ok()) return status;
  const json before = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  if (!before.is_object()) return absl::InternalError("get events: the answer is no object");
  const json count = before.value("count", json());
  json patch = {{"count", 1 + (count.is_number_integer() ? count.get<int64_t>() : 0)},
                {"lastTimestamp", Timestamp(now)},
                {"message", event.message.substr(0, kMaxMessageBytes)},
                {"reportingInstance", instance_}};
  if (const json version = before.value("/metadata/resourceVersion"_json_pointer, json());
      version.is_string()) {
    patch["metadata"]["resourceVersion"] = version;
  }
  response = client_.Call({.method = "PATCH",
                           .path = path,
                           .body = Text(patch),
                           .content_type = "application/merge-patch+json",
                           .timeout = kTimeout},
                          &cancellation);
  if (!response.ok()) return response.status();
  status = kubernetes::StatusOf(*response, "patch", "events");
  return absl::IsNotFound(status) ? absl::AbortedError(status.message()) : status;
}

}  // namespace weft::cluster
