#include "sidecar/admin/request_target.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"

namespace weft::admin {
namespace {

// RFC 3986 section 2.1; in a query '+' is a space. What is no escape stays as it is.
std::string Decode(std::string_view text, bool query) {
  const auto digit = [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c))
               ? c - '0'
               : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10;
  };
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) &&
        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += query && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

RequestTarget ParseTarget(std::string_view target) {
  if (!target.starts_with('/')) {
    const size_t scheme = target.find("://");
    const size_t path = scheme == std::string_view::npos ? scheme : target.find('/', scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  RequestTarget parsed;
  const size_t question = target.find('?');
  parsed.path = Decode(target.substr(0, question), false);
  std::string_view query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    if (!pair.empty()) {
      parsed.query.insert_or_assign(Decode(pair.substr(0, equals), true), Decode(value, true));
    }
  }
  return parsed;
}

}  // namespace weft::admin
