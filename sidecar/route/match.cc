#include "sidecar/route/match.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sidecar/route/cookies.h"

namespace weft::route {
namespace {

constexpr size_t kMaxRegexBytes = 4096;
constexpr size_t kMaxRegexes = 512;
constexpr size_t kMaxConditions = 64;  // of one kind in one match

// 1 MiB a pattern; when there are many, a share of 32 MiB, but never so little that RE2 would lack
// the room for an automaton and fall back to its slow, allocating engine.
int64_t MemoryPerPattern(size_t conditions) {
  constexpr int64_t kTotalBytes = 32 << 20;
  constexpr int64_t kLeastBytes = 128 << 10;
  constexpr int64_t kMostBytes = 1 << 20;
  return std::clamp(kTotalBytes / static_cast<int64_t>(std::max<size_t>(conditions, 1)),
                    kLeastBytes, kMostBytes);
}

// RFC 9110 section 5.6.2.
bool IsToken(std::string_view s) {
  constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return !s.empty() && std::ranges::all_of(s, [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           kPunctuation.find(c) != std::string_view::npos;
  });
}

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// For messages: what came, short and printable.
std::string Quoted(std::string_view s) {
  return absl::StrCat("\"", absl::CHexEscape(ToAbsl(s.substr(0, 100))), "\"");
}

absl::StatusOr<std::vector<Match::ValueCondition>> CompileValues(
    const google::protobuf::RepeatedPtrField<weft::v1::ValueMatch>& values, std::string_view field,
    bool lower_names, PatternTable& patterns) {
  if (values.size() > static_cast<int>(kMaxConditions)) {
    return Invalid(ToAbsl(field), ": ", values.size(), " conditions, at most ", kMaxConditions);
  }
  std::vector<Match::ValueCondition> conditions;
  conditions.reserve(values.size());
  for (int i = 0; i < values.size(); ++i) {
    const weft::v1::ValueMatch& value = values[i];
    if (!IsToken(value.name())) {
      return Invalid(ToAbsl(field), "[", i, "].name: ", Quoted(value.name()), " is no name");
    }
    absl::StatusOr<std::shared_ptr<const Pattern>> pattern =
        patterns.Get(value.regex(), Anchor::kNone);
    if (!pattern.ok()) {
      return Invalid(ToAbsl(field), "[", i, "] (", value.name(),
                     ").regex: ", pattern.status().message());
    }
    conditions.push_back({.name = lower_names ? absl::AsciiStrToLower(value.name()) : value.name(),
                          .regex = value.regex(),
                          .pattern = *std::move(pattern)});
  }
  return conditions;
}

bool HeaderMatches(const Match::ValueCondition& condition, const http::Headers& headers) {
  // Written to only when a field is repeated; keeps its memory from request to request.
  static thread_local std::string joined;
  const std::optional<std::string_view> value = headers.GetJoined(condition.name, &joined);
  return value.has_value() && condition.pattern->Matches(*value);
}

bool CookieMatches(const Match::ValueCondition& condition, const http::Headers& headers) {
  return AnyCookie(headers, [&](std::string_view name, std::string_view value) {
    return name == condition.name && condition.pattern->Matches(value);
  });
}

}  // namespace

PatternTable::PatternTable(size_t conditions) : max_memory_bytes_(MemoryPerPattern(conditions)) {}

absl::StatusOr<std::shared_ptr<const Pattern>> PatternTable::Get(const std::string& regex,
                                                                 Anchor anchor) {
  if (regex.size() > kMaxRegexBytes) {
    return Invalid("longer than ", kMaxRegexBytes, " bytes");
  }
  std::shared_ptr<const Pattern>& entry = patterns_[{regex, anchor}];
  if (entry != nullptr) return entry;
  absl::StatusOr<Pattern> pattern = Pattern::Compile(regex, anchor, max_memory_bytes_);
  if (!pattern.ok()) return pattern.status();
  if (pattern->kind() == Pattern::Kind::kRegex && ++regexes_ > kMaxRegexes) {
    return Invalid("more than ", kMaxRegexes, " different regular expressions in one destination");
  }
  entry = std::make_shared<const Pattern>(*std::move(pattern));
  return entry;
}

absl::StatusOr<Match> Match::Compile(const weft::v1::HttpMatch& match, PatternTable& patterns) {
  Match compiled;
  compiled.group_ = match.group();
  compiled.name_ = match.name();

  if (match.methods_size() > static_cast<int>(kMaxConditions)) {
    return Invalid("methods: ", match.methods_size(), " of them, at most ", kMaxConditions);
  }
  for (int i = 0; i < match.methods_size(); ++i) {
    const std::string& method = match.methods(i);
    if (!IsToken(method) || std::ranges::any_of(method, absl::ascii_islower)) {
      return Invalid("methods[", i, "]: ", Quoted(method), " is no method in upper case");
    }
    compiled.methods_.push_back(method);
  }
  if (std::ranges::find(compiled.methods_, "*") != compiled.methods_.end()) {
    compiled.methods_.clear();
  }

  if (!match.path_regex().empty()) {
    absl::StatusOr<std::shared_ptr<const Pattern>> path =
        patterns.Get(match.path_regex(), Anchor::kStart);
    if (!path.ok()) return Invalid("path_regex: ", path.status().message());
    compiled.path_regex_ = match.path_regex();
    compiled.path_ = *std::move(path);
  }

  absl::StatusOr<std::vector<ValueCondition>> headers =
      CompileValues(match.headers(), "headers", /*lower_names=*/true, patterns);
  if (!headers.ok()) return headers.status();
  compiled.headers_ = *std::move(headers);

  absl::StatusOr<std::vector<ValueCondition>> cookies =
      CompileValues(match.cookies(), "cookies", /*lower_names=*/false, patterns);
  if (!cookies.ok()) return cookies.status();
  compiled.cookies_ = *std::move(cookies);
  return compiled;
}

std::optional<Match::Failure> Match::FirstFailure(const RequestView& request,
                                                  std::string_view path) const {
  if (!methods_.empty() && std::ranges::find(methods_, request.method) == methods_.end()) {
    return Failure{Condition::kMethod, 0};
  }
  if (path_ != nullptr && !path_->Matches(path)) return Failure{Condition::kPath, 0};
  for (size_t i = 0; i < headers_.size(); ++i) {
    if (!HeaderMatches(headers_[i], request.headers)) return Failure{Condition::kHeader, i};
  }
  for (size_t i = 0; i < cookies_.size(); ++i) {
    if (!CookieMatches(cookies_[i], request.headers)) return Failure{Condition::kCookie, i};
  }
  return std::nullopt;
}

}  // namespace weft::route
