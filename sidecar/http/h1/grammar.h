// The small grammar that HTTP/1 heads are made of, read strictly: what is not exactly right is
// nothing.
#ifndef WEFT_SIDECAR_HTTP_H1_GRAMMAR_H_
#define WEFT_SIDECAR_HTTP_H1_GRAMMAR_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "sidecar/http/headers.h"

namespace weft::http::h1 {

// RFC 9110 section 5.6.2: one character, and a whole token of at least one.
bool IsTokenCharacter(char c);
bool IsToken(std::string_view text);

// RFC 9110 section 5.5: no control characters but the tab.
bool IsFieldValue(std::string_view value);

// A control character other than the tab.
bool IsControl(char c);

// `[host][:port]` without user information (RFC 3986 section 3.2, RFC 9110 section 7.2). May be
// empty.
bool IsAuthority(std::string_view authority);

// A request target's characters: visible ones, no fragment. Bytes beyond ASCII pass, because
// clients send them and nobody reads them in two ways.
bool IsTarget(std::string_view target);

// 1*DIGIT below 2^63 (RFC 9110 section 8.6).
std::optional<uint64_t> ParseLength(std::string_view digits);

// The line in front of a chunk: 1*HEXDIG below 2^63 and extensions (RFC 9112 section 7.1), without
// the white space that the grammar calls bad.
std::optional<uint64_t> ParseChunkLine(std::string_view line);

// Without optional white space at both ends.
std::string_view Trim(std::string_view text);

// Calls `use` with each member of a comma-separated list that is not empty (RFC 9110 section
// 5.6.1).
template <typename Use>
void ForEachMember(std::string_view list, Use use) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view member = Trim(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    if (!member.empty()) use(member);
  }
}

}  // namespace weft::http::h1

#endif  // WEFT_SIDECAR_HTTP_H1_GRAMMAR_H_
