#include "control-plane/compile/regex.h"

#include <re2/re2.h>

#include "absl/strings/str_cat.h"

namespace weft::compile {
namespace {

constexpr size_t kMaxRegexBytes = 4096;
constexpr int64_t kMaxRegexMemory = 1 << 20;
constexpr int kMaxProgramSize = 10'000;

RE2::Options Options() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  return options;
}

re2::StringPiece Piece(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

std::optional<std::string> RegexError(std::string_view regex) {
  if (regex.size() > kMaxRegexBytes) {
    return absl::StrCat("it is ", regex.size(), " characters long; ", kMaxRegexBytes,
                        " are allowed");
  }
  RE2 compiled(Piece(regex), Options());
  if (!compiled.ok()) return compiled.error();
  if (compiled.ProgramSize() > kMaxProgramSize) {
    return absl::StrCat("it compiles to ", compiled.ProgramSize(), " instructions; ",
                        kMaxProgramSize, " are allowed");
  }
  return std::nullopt;
}

std::optional<CookieTrap> FindCookieTrap(std::string_view regex) {
  static const RE2 kNameValue("([A-Za-z0-9_-]+)=([A-Za-z0-9_-]+)");
  std::string name, value;
  if (!RE2::PartialMatch(Piece(regex), kNameValue, &name, &value)) return std::nullopt;
  RE2 compiled(Piece(regex), Options());
  const std::string meant = absl::StrCat(name, "=", value);
  // If the text that was found in the expression is not what the expression matches, we have not
  // understood it and say nothing.
  if (!compiled.ok() || !RE2::PartialMatch(meant, compiled)) return std::nullopt;
  for (const std::string& other :
       {absl::StrCat("x", meant), absl::StrCat(meant, "2"), absl::StrCat(meant, "-x")}) {
    if (RE2::PartialMatch(other, compiled)) return CookieTrap{name, value, other};
  }
  return std::nullopt;
}

}  // namespace weft::compile
