#include "sidecar/route/explanation.h"

#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "sidecar/route/cookies.h"
#include "sidecar/route/destination.h"

namespace weft::route {
namespace {

std::string Quoted(std::string_view s) {
  constexpr size_t kMaxShown = 200;
  return absl::StrCat("\"", absl::CHexEscape(ToAbsl(s.substr(0, kMaxShown))),
                      s.size() > kMaxShown ? "...\"" : "\"");
}

std::string ExplainHeader(const Match::ValueCondition& condition, const http::Headers& headers) {
  std::string joined;
  const std::optional<std::string_view> value = headers.GetJoined(condition.name, &joined);
  if (!value) return absl::StrCat("there is no header ", Quoted(condition.name));
  return absl::StrCat("header ", Quoted(condition.name), " is ", Quoted(*value), ", which ",
                      Quoted(condition.regex), " does not match");
}

std::string ExplainCookie(const Match::ValueCondition& condition, const http::Headers& headers) {
  std::vector<std::string> values;
  AnyCookie(headers, [&](std::string_view name, std::string_view value) {
    if (name == condition.name) values.push_back(Quoted(value));
    return false;
  });
  if (values.empty()) return absl::StrCat("there is no cookie ", Quoted(condition.name));
  return absl::StrCat("cookie ", Quoted(condition.name), " is ", absl::StrJoin(values, " and "),
                      ", which ", Quoted(condition.regex), " does not match");
}

std::string ExplainFailure(const Match& match, const Match::Failure& failure,
                           const RequestView& request, std::string_view path) {
  switch (failure.condition) {
    case Match::Condition::kMethod:
      return absl::StrCat("method ", Quoted(request.method), " is not ",
                          absl::StrJoin(match.methods(), " or "));
    case Match::Condition::kPath:
      return absl::StrCat("path ", Quoted(path), " is not matched from its start by ",
                          Quoted(match.path_regex()));
    case Match::Condition::kHeader:
      return ExplainHeader(match.headers()[failure.index], request.headers);
    case Match::Condition::kCookie:
      return ExplainCookie(match.cookies()[failure.index], request.headers);
  }
  return "";
}

}  // namespace

Explanation Destination::Explain(const RequestView& request) const {
  Explanation explanation;
  explanation.rule = Match(request);
  const std::string_view path = PathComponent(request.path);
  for (size_t i = 0; i <= explanation.rule->index; ++i) {
    const Rule& rule = rules_[i];
    RuleVerdict& verdict = explanation.rules.emplace_back();
    verdict.index = i;
    verdict.applies = i == explanation.rule->index;
    for (size_t j = 0; j < rule.matches.size(); ++j) {
      const route::Match& match = rule.matches[j];
      const std::optional<route::Match::Failure> failure = match.FirstFailure(request, path);
      verdict.matches.push_back(
          {.group = match.group(),
           .name = match.name(),
           .applies = !failure,
           .reason = failure ? ExplainFailure(match, *failure, request, path) : ""});
      if (!failure) {
        explanation.match = j;
        break;
      }
    }
  }
  return explanation;
}

}  // namespace weft::route
