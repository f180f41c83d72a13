#include "control-plane/compile/route_group.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "control-plane/compile/index.h"
#include "control-plane/compile/limits.h"
#include "control-plane/compile/regex.h"

namespace weft::compile {
namespace {

using google::protobuf::Value;
using weft::v1::HttpMatch;

// A token of RFC 9110 section 5.6.2: what header names, cookie names and methods are made of.
bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// Reads one match; every mistake in it is a finding at a field below `field`.
class MatchReader {
 public:
  MatchReader(const k8s::HttpRouteGroup& group, std::string field, FindingSink& findings)
      : object_(absl::StrCat("HTTPRouteGroup ", Qualified(group.metadata()))),
        field_(std::move(field)),
        findings_(findings) {}

  // nullopt if the match is not usable.
  std::optional<HttpMatch> Read(const k8s::HttpRouteMatch& source) {
    HttpMatch match;
    match.set_name(source.name());
    ReadMethods(source, match);
    ReadPath(source, match);
    ReadValues(source.headers(), "headers", *match.mutable_headers());
    ReadValues(source.cookies(), "cookies", *match.mutable_cookies());
    CheckCount(match.methods_size(), "methods");
    CheckCount(match.headers_size(), "headers");
    CheckCount(match.cookies_size(), "cookies");
    for (auto& header : *match.mutable_headers()) {
      absl::AsciiStrToLower(header.mutable_name());
      if (header.name() == "cookie") WarnOfCookieTrap(header);
    }
    if (usable_ && source.methods().empty() && source.path_regex().empty() &&
        match.headers().empty() && match.cookies().empty()) {
      Mistaken("", "MatchEmpty", "the match has no condition",
               "to match every request, write pathRegex: \".*\"");
    }
    if (!usable_) return std::nullopt;
    return match;
  }

 private:
  void ReadMethods(const k8s::HttpRouteMatch& source, HttpMatch& match) {
    bool any = false;
    for (int i = 0; i < source.methods_size(); ++i) {
      std::string method = absl::AsciiStrToUpper(source.methods(i));
      any |= method == "*";
      if (!IsToken(method)) {
        Mistaken(absl::StrCat(".methods[", i, "]"), "MethodInvalid",
                 absl::StrCat("\"", source.methods(i), "\" is no HTTP method"),
                 "write a method (\"GET\") or \"*\" for any");
      }
      match.add_methods(std::move(method));
    }
    if (any) match.clear_methods();
  }

  void ReadPath(const k8s::HttpRouteMatch& source, HttpMatch& match) {
    if (source.path_regex().empty()) return;
    CheckRegex(".pathRegex", source.path_regex());
    match.set_path_regex(source.path_regex());
  }

  // `values` is a map of names to expressions, or a list of such maps.
  template <typename Matches>
  void ReadValues(const Value& values, std::string_view what, Matches& matches) {
    const std::string at = absl::StrCat(".", ToAbsl(what));
    switch (values.kind_case()) {
      case Value::KIND_NOT_SET:
      case Value::kNullValue:
        return;
      case Value::kStructValue:
        return ReadMap(values.struct_value(), at, matches);
      case Value::kListValue:
        for (int i = 0; i < values.list_value().values_size(); ++i) {
          const Value& item = values.list_value().values(i);
          if (item.kind_case() == Value::kStructValue) {
            ReadMap(item.struct_value(), absl::StrCat(at, "[", i, "]"), matches);
          } else {
            Malformed(absl::StrCat(at, "[", i, "]"));
          }
        }
        return;
      default:
        return Malformed(at);
    }
  }

  template <typename Matches>
  void ReadMap(const google::protobuf::Struct& map, const std::string& at, Matches& matches) {
    std::vector<std::pair<std::string, const Value*>> sorted;  // a protobuf map has no order
    for (const auto& [name, value] : map.fields()) sorted.emplace_back(name, &value);
    std::ranges::sort(sorted, {}, [](const auto& entry) { return entry.first; });
    for (const auto& [name, value] : sorted) {
      const std::string here = absl::StrCat(at, "[", name, "]");
      if (!IsToken(name)) {
        Mistaken(here, "NameInvalid",
                 absl::StrCat("\"", name, "\" cannot be the name of a header or cookie"),
                 "use letters, digits and \"-\"");
      }
      if (value->kind_case() != Value::kStringValue) {
        Malformed(here);
        continue;
      }
      CheckRegex(here, value->string_value());
      weft::v1::ValueMatch& match = *matches.Add();
      match.set_name(name);
      match.set_regex(value->string_value());
    }
  }

  void CheckCount(int count, std::string_view what) {
    if (count <= kMaxConditions) return;
    Mistaken(
        absl::StrCat(".", ToAbsl(what)), "ConditionsTooMany",
        absl::StrCat("there are ", count, " ", ToAbsl(what), "; ", kMaxConditions, " are allowed"),
        "use regular expressions that cover several cases");
  }

  void CheckRegex(const std::string& at, const std::string& regex) {
    std::optional<std::string> error = RegexError(regex);
    if (!error) return;
    Mistaken(at, "RegexInvalid",
             absl::StrCat("the expression \"", regex.substr(0, 100), "\" cannot be used: ", *error),
             "correct it; the syntax is RE2's");
  }

  void Malformed(const std::string& at) {
    Mistaken(at, "ValueMalformed", "expected names with regular expressions as strings",
             "write a map {name: \"regex\"} or a list of such maps; quote numbers and booleans");
  }

  void WarnOfCookieTrap(const weft::v1::ValueMatch& header) {
    std::optional<CookieTrap> trap = FindCookieTrap(header.regex());
    if (!trap) return;
    findings_.Warning(
        {.object = object_,
         .field = absl::StrCat(field_, ".headers[cookie]"),
         .reason = "CookieMatchTooWide",
         .message = absl::StrCat("the expression \"", header.regex(),
                                 "\" matches anywhere in the Cookie header, so it also matches \"",
                                 trap->also_matches, "\""),
         .remedy = absl::StrCat("match the cookie by its name instead: cookies: {", trap->name,
                                ": \"^", trap->value, "$\"}")});
  }

  void Mistaken(const std::string& at, std::string_view reason, std::string message,
                std::string remedy) {
    usable_ = false;
    findings_.Error({.object = object_,
                     .field = field_ + at,
                     .reason = reason,
                     .message = absl::StrCat(message, "; this match matches no request"),
                     .remedy = std::move(remedy)});
  }

  const std::string object_;
  const std::string field_;
  FindingSink& findings_;
  bool usable_ = true;
};

}  // namespace

std::vector<HttpMatch> MatchesOf(const k8s::HttpRouteGroup& group, FindingSink& findings) {
  std::vector<HttpMatch> matches;
  absl::flat_hash_set<std::string> names;
  for (int i = 0; i < group.spec().matches_size(); ++i) {
    const k8s::HttpRouteMatch& source = group.spec().matches(i);
    const std::string field = absl::StrCat("spec.matches[", i, "]");
    std::optional<HttpMatch> match = MatchReader(group, field, findings).Read(source);
    if (!source.name().empty() && !names.insert(source.name()).second) {
      findings.Error({.object = absl::StrCat("HTTPRouteGroup ", Qualified(group.metadata())),
                      .field = absl::StrCat(field, ".name"),
                      .reason = "MatchNameDuplicate",
                      .message = absl::StrCat("an earlier match of the group has the name \"",
                                              source.name(), "\" too; this one matches no request"),
                      .remedy = "give every match a name of its own"});
      continue;
    }
    if (!match) continue;
    match->set_group(Qualified(group.metadata()));
    matches.push_back(*std::move(match));
  }
  return matches;
}

}  // namespace weft::compile
