#include "injector/webhook/review.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::webhook {
namespace {

using inject::BoolAt;
using inject::Dump;
using inject::Find;
using inject::StringAt;

constexpr char kApiVersion[] = "admission.k8s.io/v1";
constexpr size_t kMaxWarningBytes = 250;
constexpr size_t kMaxWarningsBytes = 4000;
constexpr size_t kMaxMessageBytes = 8192;
constexpr int kUnprocessable = 422;

// At most so many bytes, without cutting a character of UTF-8 in two.
std::string Shortened(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat(ToAbsl(text.substr(0, end)), "...");
}

Json WarningsWithin(const std::vector<std::string>& warnings) {
  Json within = Json::array();
  size_t bytes = 0;
  for (const std::string& warning : warnings) {
    std::string text = Shortened(warning, kMaxWarningBytes);
    bytes += text.size();
    if (bytes > kMaxWarningsBytes) break;
    within.push_back(std::move(text));
  }
  return within;
}

}  // namespace

std::string Review::Subject() const {
  std::string named = name;
  const Json& source = object.is_null() ? old_object : object;
  const Json* metadata = Find(source, "metadata");
  if (named.empty() && metadata != nullptr) named = StringAt(*metadata, "name");
  if (named.empty() && metadata != nullptr) {
    named = absl::StrCat(StringAt(*metadata, "generateName"), "*");
  }
  return absl::StrCat(kind, " ", name_space, name_space.empty() ? "" : "/", named);
}

absl::StatusOr<Review> ParseReview(std::string_view body) {
  absl::StatusOr<Json> json = inject::ParseJson(body);
  if (!json.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("the body: ", json.status().message()));
  }
  if (StringAt(*json, "kind") != "AdmissionReview" ||
      StringAt(*json, "apiVersion") != kApiVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected kind AdmissionReview of apiVersion ", kApiVersion));
  }
  const Json* request = Find(*json, "request");
  if (request == nullptr || !request->is_object()) {
    return absl::InvalidArgumentError("request: expected an object");
  }
  Review review;
  review.uid = StringAt(*request, "uid");
  if (review.uid.empty()) return absl::InvalidArgumentError("request.uid: expected a text");
  const Json* kind = Find(*request, "kind");
  if (kind == nullptr || StringAt(*kind, "kind").empty()) {
    return absl::InvalidArgumentError("request.kind.kind: expected a text");
  }
  review.group = StringAt(*kind, "group");
  review.version = StringAt(*kind, "version");
  review.kind = StringAt(*kind, "kind");
  review.sub_resource = StringAt(*request, "subResource");
  review.name = StringAt(*request, "name");
  review.name_space = StringAt(*request, "namespace");
  review.operation = StringAt(*request, "operation");
  review.dry_run = BoolAt(*request, "dryRun", false);
  for (const auto& [key, to] : {std::pair<const char*, Json*>("object", &review.object),
                                std::pair<const char*, Json*>("oldObject", &review.old_object)}) {
    const Json* object = Find(*request, key);
    if (object == nullptr) continue;
    if (!object->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("request.", key, ": expected an object"));
    }
    *to = *object;
  }
  return review;
}

std::string RenderAnswer(std::string_view uid, const Answer& answer) {
  Json response = Json::object();
  response["uid"] = uid;
  response["allowed"] = answer.allowed;
  if (!answer.allowed) {
    response["status"]["message"] = Shortened(answer.message, kMaxMessageBytes);
    response["status"]["reason"] = "Invalid";
    response["status"]["code"] = kUnprocessable;
  }
  if (answer.allowed && !answer.patch.empty()) {
    response["patchType"] = "JSONPatch";
    response["patch"] = absl::Base64Escape(Dump(answer.patch));
  }
  if (!answer.warnings.empty()) response["warnings"] = WarningsWithin(answer.warnings);
  Json review = Json::object();
  review["apiVersion"] = kApiVersion;
  review["kind"] = "AdmissionReview";
  review["response"] = std::move(response);
  return Dump(review);
}

}  // namespace weft::webhook
