#include "sidecar/http/h1/grammar.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace weft::http::h1 {
namespace {

using Table = std::array<bool, 256>;

constexpr Table With(Table table, std::string_view characters) {
  for (const char c : characters) table[static_cast<uint8_t>(c)] = true;
  return table;
}

constexpr Table kAlphanumeric = [] {
  Table table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  return table;
}();

constexpr Table kToken = With(kAlphanumeric, "!#$%&'*+-.^_`|~");
// RFC 3986 section 3.2.2, without the comma: a list of hosts is no host.
constexpr Table kHostName = With(kAlphanumeric, "-._~%!$&'()*+;=");
constexpr Table kHostLiteral = With(kAlphanumeric, "-._~%:");

constexpr Table kValue = [] {
  Table table{};
  for (int c = ' '; c < 256; ++c) table[c] = c != 0x7f;
  table['\t'] = true;
  return table;
}();

constexpr Table kTarget = [] {
  Table table{};
  for (int c = '!'; c < 256; ++c) table[c] = c != 0x7f && c != '#';
  return table;
}();

bool AllIn(const Table& table, std::string_view text) {
  for (const char c : text) {
    if (!table[static_cast<uint8_t>(c)]) return false;
  }
  return true;
}

bool IsPort(std::string_view port) {
  constexpr size_t kLongest = 5;
  return port.size() <= kLongest &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Takes neither sign nor prefix: from_chars knows none for unsigned numbers.
std::optional<uint64_t> ParseWhole(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size() || number > INT64_MAX) {
    return std::nullopt;
  }
  return number;
}

// The text behind a quoted string; nothing if it is malformed.
std::optional<std::string_view> SkipQuoted(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return text.substr(i + 1);
    if (text[i] == '\\') ++i;
    if (i == text.size() || !kValue[static_cast<uint8_t>(text[i])]) break;
  }
  return std::nullopt;
}

std::string_view SkipToken(std::string_view text) {
  return text.substr(std::find_if_not(text.begin(), text.end(), IsTokenCharacter) - text.begin());
}

// RFC 9112 section 7.1.1.
bool AreChunkExtensions(std::string_view text) {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    std::string_view rest = SkipToken(text);
    if (rest.size() == text.size()) return false;
    text = rest;
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    if (text.starts_with('"')) {
      const std::optional<std::string_view> behind = SkipQuoted(text);
      if (!behind) return false;
      text = *behind;
      continue;
    }
    rest = SkipToken(text);
    if (rest.size() == text.size()) return false;
    text = rest;
  }
  return true;
}

}  // namespace

bool IsTokenCharacter(char c) { return kToken[static_cast<uint8_t>(c)]; }

bool IsToken(std::string_view text) { return !text.empty() && AllIn(kToken, text); }

bool IsFieldValue(std::string_view value) { return AllIn(kValue, value); }

bool IsControl(char c) { return !kValue[static_cast<uint8_t>(c)]; }

bool IsTarget(std::string_view target) { return !target.empty() && AllIn(kTarget, target); }

bool IsAuthority(std::string_view authority) {
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    if (!AllIn(kHostLiteral, authority.substr(1, end - 1))) return false;
    const std::string_view rest = authority.substr(end + 1);
    return rest.empty() || (rest.starts_with(':') && IsPort(rest.substr(1)));
  }
  const size_t colon = authority.find(':');
  if (colon != std::string_view::npos && (colon == 0 || !IsPort(authority.substr(colon + 1)))) {
    return false;
  }
  return AllIn(kHostName, authority.substr(0, colon));
}

std::optional<uint64_t> ParseLength(std::string_view digits) { return ParseWhole(digits, 10); }

std::optional<uint64_t> ParseChunkLine(std::string_view line) {
  constexpr size_t kMostDigits = 16;
  const std::string_view size = line.substr(0, line.find(';'));
  if (size.size() > kMostDigits || !AreChunkExtensions(line.substr(size.size()))) {
    return std::nullopt;
  }
  return ParseWhole(size, 16);
}

std::string_view Trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace weft::http::h1
