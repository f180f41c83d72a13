#include "sidecar/route/pattern.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "re2/re2.h"

namespace weft::route {
namespace {

// A pattern that needs more than this is refused; see PatternTable for the usual share.
constexpr int64_t kMostMemoryBytes = 1 << 20;

constexpr std::string_view kMeta = "\\^$.|?*+()[]{}";
// A backslash before one of these is that character itself, nothing else.
constexpr std::string_view kEscapable = "\\^$.|?*+()[]{}/-:;,=\"'@#%&!<>~ ";

// Takes `suffix` off the end, unless a backslash escapes its first character ("\\.*" is any number
// of dots).
bool ConsumeUnescapedSuffix(std::string_view suffix, std::string_view* regex) {
  if (!regex->ends_with(suffix)) return false;
  const std::string_view rest = regex->substr(0, regex->size() - suffix.size());
  const size_t last_other = rest.find_last_not_of('\\');
  const size_t backslashes =
      rest.size() - (last_other == std::string_view::npos ? 0 : last_other + 1);
  if (backslashes % 2 == 1) return false;
  *regex = rest;
  return true;
}

// The string that `regex` stands for, if it stands for exactly one.
bool ParseLiteral(std::string_view regex, std::string* literal) {
  for (size_t i = 0; i < regex.size(); ++i) {
    char c = regex[i];
    if (c == '\\') {
      if (++i == regex.size() || kEscapable.find(regex[i]) == std::string_view::npos) return false;
      c = regex[i];
    } else if (kMeta.find(c) != std::string_view::npos) {
      return false;
    }
    literal->push_back(c);
  }
  return true;
}

re2::StringPiece ToRe2(std::string_view s) { return {s.data(), s.size()}; }

std::unique_ptr<RE2> CompileAs(std::string_view regex, RE2::Options::Encoding encoding,
                               int64_t max_memory_bytes) {
  RE2::Options options(RE2::Quiet);
  options.set_encoding(encoding);
  options.set_max_mem(max_memory_bytes);
  options.set_never_capture(true);
  return std::make_unique<RE2>(ToRe2(regex), options);
}

// As bytes where the pattern names no characters beyond ASCII, else as UTF-8: what is valid as
// UTF-8, which is how the control plane checks it, is valid here. Not ok() if it is neither.
std::unique_ptr<RE2> CompileRegex(std::string_view regex, int64_t max_memory_bytes) {
  if (std::ranges::all_of(regex, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    auto bytes = CompileAs(regex, RE2::Options::EncodingLatin1, max_memory_bytes);
    if (bytes->ok()) return bytes;
  }
  auto characters = CompileAs(regex, RE2::Options::EncodingUTF8, max_memory_bytes);
  if (characters->error_code() != RE2::ErrorPatternTooLarge ||
      max_memory_bytes >= kMostMemoryBytes) {
    return characters;
  }
  return CompileAs(regex, RE2::Options::EncodingUTF8, kMostMemoryBytes);
}

}  // namespace

Pattern::Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

// Why each step keeps the meaning, line feeds in values included:
// - ".*" at the end may match nothing, so it never decides.
// - ".*" at the start of an unanchored search: a match of ".*X" contains one of X, and any match of
// X is one
//   of ".*X" too. (Not so after "^" or in an anchored search: there the dot would have to cross
//   line feeds.)
// - "^" in an anchored search repeats what is so anyway.
// - What then remains is a literal between two optional anchors, or the whole goes to RE2 as it was
// written
//   (an operator that belonged to what was taken off, as in ".*?", is no literal).
Pattern::Simple Pattern::Simplify(std::string_view regex, Anchor anchor) {
  const Simple needs_regex{Kind::kRegex, ""};
  bool at_start = anchor == Anchor::kStart;
  bool at_end = false;
  if (regex.starts_with('^')) {
    at_start = true;
    regex.remove_prefix(1);
  }
  if (!at_start && regex.starts_with(".*")) regex.remove_prefix(2);
  if (!ConsumeUnescapedSuffix(".*", &regex)) at_end = ConsumeUnescapedSuffix("$", &regex);
  std::string literal;
  if (!ParseLiteral(regex, &literal)) return needs_regex;
  if (at_start && at_end) return {Kind::kEquals, std::move(literal)};
  if (literal.empty()) return {Kind::kAny, ""};
  if (at_start) return {Kind::kPrefix, std::move(literal)};
  if (at_end) return {Kind::kSuffix, std::move(literal)};
  return {Kind::kContains, std::move(literal)};
}

bool Pattern::NeedsRegex(std::string_view regex, Anchor anchor) {
  return Simplify(regex, anchor).kind == Kind::kRegex;
}

absl::StatusOr<Pattern> Pattern::Compile(std::string_view regex, Anchor anchor,
                                         int64_t max_memory_bytes) {
  Pattern pattern;
  pattern.anchor_ = anchor;
  Simple simple = Simplify(regex, anchor);
  pattern.kind_ = simple.kind;
  pattern.literal_ = std::move(simple.literal);
  if (pattern.kind_ != Kind::kRegex) return pattern;

  pattern.regex_ = CompileRegex(regex, max_memory_bytes);
  if (!pattern.regex_->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ToAbsl(regex.substr(0, 200)),
                     "\" is not an RE2 regular expression: ", pattern.regex_->error()));
  }
  return pattern;
}

bool Pattern::MatchesRegex(std::string_view value) const {
  return regex_->Match(ToRe2(value), 0, value.size(),
                       anchor_ == Anchor::kStart ? RE2::ANCHOR_START : RE2::UNANCHORED, nullptr, 0);
}

}  // namespace weft::route
