// One regular expression of a rule, compiled to the cheapest test that decides the same.
#ifndef WEFT_SIDECAR_ROUTE_PATTERN_H_
#define WEFT_SIDECAR_ROUTE_PATTERN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace weft::route {

// Where a match may begin. It may end anywhere.
enum class Anchor {
  kNone,   // anywhere in the value (headers, cookies)
  kStart,  // at the value's first byte (paths)
};

// RE2 syntax. A pattern in ASCII sees the value as bytes: `.` is any byte but a line feed, whatever
// clients send. One that names other characters ("[äö]", "\x{263a}") sees it as UTF-8; then `.` and
// negated classes match no invalid UTF-8. Immutable, any thread.
//
// Patterns that are a literal, with or without ^, $ and .* at their ends, are compared as strings;
// the others run in RE2, whose automaton is built as values come, within a memory limit, behind a
// reader lock of its own. Matches() allocates nothing once the automaton knows the values' states.
class Pattern {
 public:
  enum class Kind : uint8_t { kAny, kContains, kPrefix, kSuffix, kEquals, kRegex };

  // `max_memory_bytes` is what RE2 should do with for this pattern; one that cannot may use up to
  // 1 MiB. InvalidArgument says what is wrong with it.
  static absl::StatusOr<Pattern> Compile(std::string_view regex, Anchor anchor,
                                         int64_t max_memory_bytes);

  // True if Compile() would need RE2.
  static bool NeedsRegex(std::string_view regex, Anchor anchor);

  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  bool Matches(std::string_view value) const {
    switch (kind_) {
      case Kind::kAny:
        return true;
      case Kind::kContains:
        return value.find(literal_) != std::string_view::npos;
      case Kind::kPrefix:
        return value.starts_with(literal_);
      case Kind::kSuffix:
        return value.ends_with(literal_);
      case Kind::kEquals:
        return value == literal_;
      case Kind::kRegex:
        return MatchesRegex(value);
    }
    return false;
  }

  Kind kind() const { return kind_; }

 private:
  struct Simple {
    Kind kind;
    std::string literal;
  };

  Pattern();
  static Simple Simplify(std::string_view regex, Anchor anchor);
  bool MatchesRegex(std::string_view value) const;

  Kind kind_ = Kind::kAny;
  Anchor anchor_ = Anchor::kNone;
  std::string literal_;
  std::unique_ptr<re2::RE2> regex_;
};

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_PATTERN_H_
