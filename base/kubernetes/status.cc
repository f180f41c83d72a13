#include "base/kubernetes/status.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxMessageBytes = 1024;

std::string Text(const Json& object, const char* field) {
  auto it = object.find(field);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// The words of others go into logs and findings: one line, of bounded length.
std::string Tidy(std::string_view text) {
  std::string tidy(absl::StripAsciiWhitespace(ToAbsl(text.substr(0, kMaxMessageBytes))));
  std::ranges::replace_if(tidy, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return tidy;
}

absl::StatusCode CodeOf(const Refusal& refusal) {
  switch (refusal.code) {
    case 400:
    case 415:
    case 422:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return refusal.reason == "AlreadyExists" ? absl::StatusCode::kAlreadyExists
                                               : absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 413:
      return absl::StatusCode::kResourceExhausted;
    case 429:
      return absl::StatusCode::kUnavailable;
    default:
      return refusal.code >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnknown;
  }
}

}  // namespace

Refusal ParseRefusal(std::string_view body, int code) {
  Refusal refusal{.code = code, .reason = {}, .message = {}, .continue_token = {}};
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    refusal.message = Tidy(body);
    return refusal;
  }
  if (auto it = json.find("code"); it != json.end() && it->is_number_integer()) {
    refusal.code = static_cast<int>(std::clamp<int64_t>(it->get<int64_t>(), 0, 999));
  }
  refusal.reason = Tidy(Text(json, "reason"));
  refusal.message = Tidy(Text(json, "message"));
  if (auto it = json.find("metadata"); it != json.end() && it->is_object()) {
    refusal.continue_token = Text(*it, "continue");
  }
  if (auto it = json.find("details"); it != json.end() && it->is_object()) {
    auto seconds = it->find("retryAfterSeconds");
    if (seconds != it->end() && seconds->is_number_integer()) {
      refusal.retry_after =
          absl::Seconds(std::clamp<int64_t>(seconds->get<int64_t>(), 0, 24 * 3600));
    }
  }
  return refusal;
}

absl::Status StatusOf(const Refusal& refusal, std::string_view verb, std::string_view resource) {
  if (refusal.code >= 200 && refusal.code < 300) return absl::OkStatus();
  return absl::Status(CodeOf(refusal),
                      absl::StrCat(ToAbsl(verb), " ", ToAbsl(resource), ": ", refusal.code,
                                   refusal.reason.empty() ? "" : " ", refusal.reason,
                                   refusal.message.empty() ? "" : ": ", refusal.message));
}

absl::Status StatusOf(const Response& response, std::string_view verb, std::string_view resource) {
  if (response.code >= 200 && response.code < 300) return absl::OkStatus();
  Refusal refusal = ParseRefusal(response.body, response.code);
  refusal.code = response.code;
  return StatusOf(refusal, verb, resource);
}

}  // namespace weft::kubernetes
