#include "control-plane/source/json_text.h"

#include "absl/strings/str_cat.h"

namespace weft::source {
namespace {

constexpr int kMaxDepth = 128;

// Walks over text, from token to token.
class Walk {
 public:
  explicit Walk(std::string_view json) : json_(json) {}

  absl::Status Error(std::string_view expected) const {
    return absl::InvalidArgumentError(absl::StrCat(
        "byte ", at_, ": expected ", absl::string_view(expected.data(), expected.size())));
  }

  // Takes `c`, after white space, if it is next.
  bool Take(char c) {
    SkipSpace();
    if (at_ == json_.size() || json_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool AtEnd() {
    SkipSpace();
    return at_ == json_.size();
  }

  // Takes a string; `text` is what stands between the quotes.
  bool TakeString(std::string_view& text) {
    if (!Take('"')) return false;
    const size_t begin = at_;
    size_t end = json_.find('"', begin);
    while (end != std::string_view::npos && IsEscaped(begin, end)) end = json_.find('"', end + 1);
    if (end == std::string_view::npos) {
      at_ = json_.size();
      return false;
    }
    text = json_.substr(begin, end - begin);
    at_ = end;
    ++at_;
    return true;
  }

  // Takes a value of any kind.
  bool TakeValue(std::string_view& value) {
    SkipSpace();
    const size_t begin = at_;
    int depth = 0;
    do {
      SkipSpace();
      if (at_ == json_.size()) return false;
      const char c = json_[at_];
      if (c == '{' || c == '[') {
        if (++depth > kMaxDepth) return false;
        ++at_;
      } else if (c == '}' || c == ']') {
        if (--depth < 0) return false;
        ++at_;
      } else if (c == '"') {
        std::string_view text;
        if (!TakeString(text)) return false;
      } else if (c == ',' || c == ':') {
        if (depth == 0) return false;
        ++at_;
      } else {
        TakeWord();
      }
    } while (depth > 0);
    value = json_.substr(begin, at_ - begin);
    return true;
  }

 private:
  void SkipSpace() {
    while (at_ < json_.size() &&
           (json_[at_] == ' ' || json_[at_] == '\n' || json_[at_] == '\r' || json_[at_] == '\t')) {
      ++at_;
    }
  }

  // Whether an odd number of backslashes stands before `at`.
  bool IsEscaped(size_t begin, size_t at) const {
    size_t first = at;
    while (first > begin && json_[first - 1] == '\\') --first;
    return (at - first) % 2 == 1;
  }

  // A number, true, false or null.
  void TakeWord() {
    static constexpr std::string_view kEnds = ",:{}[]\" \n\r\t";
    while (at_ < json_.size() && kEnds.find(json_[at_]) == std::string_view::npos) ++at_;
  }

  const std::string_view json_;
  size_t at_ = 0;
};

}  // namespace

absl::Status ForEachMember(
    std::string_view json,
    const std::function<absl::Status(std::string_view key, std::string_view value)>& visit) {
  Walk walk(json);
  if (!walk.Take('{')) return walk.Error("an object");
  if (!walk.Take('}')) {
    do {
      std::string_view key, value;
      if (!walk.TakeString(key)) return walk.Error("a member's name");
      if (!walk.Take(':')) return walk.Error("\":\"");
      if (!walk.TakeValue(value)) return walk.Error("a value");
      if (absl::Status status = visit(key, value); !status.ok()) return status;
    } while (walk.Take(','));
    if (!walk.Take('}')) return walk.Error("\",\" or \"}\"");
  }
  return walk.AtEnd() ? absl::OkStatus() : walk.Error("nothing more");
}

absl::Status ForEachElement(std::string_view json,
                            const std::function<absl::Status(std::string_view element)>& visit) {
  if (json == "null") return absl::OkStatus();
  Walk walk(json);
  if (!walk.Take('[')) return walk.Error("an array");
  if (!walk.Take(']')) {
    do {
      std::string_view element;
      if (!walk.TakeValue(element)) return walk.Error("a value");
      if (absl::Status status = visit(element); !status.ok()) return status;
    } while (walk.Take(','));
    if (!walk.Take(']')) return walk.Error("\",\" or \"]\"");
  }
  return walk.AtEnd() ? absl::OkStatus() : walk.Error("nothing more");
}

std::optional<std::string_view> PlainString(std::string_view json) {
  Walk walk(json);
  std::string_view text;
  if (!walk.TakeString(text) || !walk.AtEnd()) return std::nullopt;
  if (text.find('\\') != std::string_view::npos) return std::nullopt;
  return text;
}

}  // namespace weft::source
