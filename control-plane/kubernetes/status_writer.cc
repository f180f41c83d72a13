#include "control-plane/kubernetes/status_writer.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/kubernetes/status.h"

namespace weft::cluster {
namespace {

using nlohmann::json;

constexpr absl::Duration kTimeout = absl::Seconds(10);

json Meta(const json& object, const char* field) {
  const auto meta = object.find("metadata");
  if (meta == object.end() || !meta->is_object()) return {};
  const auto value = meta->find(field);
  return value == meta->end() ? json() : *value;
}

// Whether the object is no longer the one that was reviewed.
bool IsOvertaken(const json& object, const compile::Review& review) {
  const json generation = Meta(object, "generation");
  return Meta(object, "uid") != json(review.uid) ||
         (generation.is_number_integer() && generation.get<int64_t>() > review.generation);
}

}  // namespace

absl::StatusOr<StatusWriter::Outcome> StatusWriter::Write(
    const compile::Review& review, const std::vector<Condition>& wanted,
    const kubernetes::Cancellation& cancellation) {
  const absl::StatusOr<ServedResource> resource =
      served_.Find(review.key.kind, absl::Now(), cancellation);
  if (absl::IsNotFound(resource.status())) return Outcome::kNoStatus;
  if (!resource.ok()) return resource.status();
  if (!resource->has_status) return Outcome::kNoStatus;

  const std::string path = resource->Path(review.key);
  absl::StatusOr<kubernetes::Response> response =
      client_.Call({.path = path, .timeout = kTimeout}, &cancellation);
  if (!response.ok()) return response.status();
  absl::Status status = kubernetes::StatusOf(*response, "get", resource->full_name);
  if (absl::IsNotFound(status)) {
    served_.Forget(review.key.kind);
    return Outcome::kOvertaken;
  }
  if (!status.ok()) return status;
  const json object = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::InternalError(absl::StrCat(review.key.ToString(), ": the answer is no object"));
  }
  if (IsOvertaken(object, review)) return Outcome::kOvertaken;
  std::optional<json> conditions = MergeConditions(object, wanted, absl::Now());
  if (!conditions.has_value()) return Outcome::kSame;

  const json patch = {{"metadata", {{"resourceVersion", Meta(object, "resourceVersion")}}},
                      {"status", {{"conditions", *std::move(conditions)}}}};
  response = client_.Call({.method = "PATCH",
                           .path = absl::StrCat(path, "/status?fieldManager=weft-control-plane"),
                           .body = patch.dump(-1, ' ', false, json::error_handler_t::replace),
                           .content_type = "application/merge-patch+json",
                           .timeout = kTimeout},
                          &cancellation);
  if (!response.ok()) return response.status();
  status = kubernetes::StatusOf(*response, "patch", absl::StrCat(resource->full_name, "/status"));
  if (absl::IsNotFound(status)) {
    // The object is gone, or its definition has changed.
    served_.Forget(review.key.kind);
    return Outcome::kOvertaken;
  }
  if (!status.ok()) return status;
  return Outcome::kWritten;
}

}  // namespace weft::cluster
