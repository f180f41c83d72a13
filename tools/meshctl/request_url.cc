#include "tools/meshctl/request_url.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::meshctl {
namespace {

constexpr uint32_t kMaxPort = 65535;

absl::Status Invalid(std::string_view url, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("URL \"", ToAbsl(url.substr(0, 300)), "\": ", ToAbsl(what)));
}

bool ConsumeScheme(std::string_view& rest, std::string_view scheme) {
  if (!absl::StartsWithIgnoreCase(ToAbsl(rest), ToAbsl(scheme))) return false;
  rest.remove_prefix(scheme.size());
  return true;
}

}  // namespace

absl::StatusOr<RequestUrl> RequestUrl::Parse(std::string_view url) {
  RequestUrl parsed;
  std::string_view rest = url;
  if (ConsumeScheme(rest, "https://")) {
    parsed.tls = true;
    parsed.port = 443;
  } else if (!ConsumeScheme(rest, "http://") && rest.find("://") < rest.find_first_of("/?#")) {
    return Invalid(url, "the scheme is neither http nor https");
  }
  if (std::ranges::any_of(url, [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return Invalid(url, "contains a space or a control character");
  }
  rest = rest.substr(0, rest.find('#'));
  const size_t end = rest.find_first_of("/?");
  const std::string_view authority = rest.substr(0, end);
  if (end != std::string_view::npos) {
    parsed.target = rest[end] == '/' ? std::string(rest.substr(end))
                                     : absl::StrCat("/", ToAbsl(rest.substr(end)));
  }
  if (authority.find('@') != std::string_view::npos) {
    return Invalid(url, "user information is not part of a request");
  }
  std::string_view host = authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t bracket = host.find(']');
    if (bracket == std::string_view::npos) return Invalid(url, "\"[\" without \"]\"");
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
    if (!port.empty() && port.front() != ':') return Invalid(url, "no port after \"]\"");
    if (!port.empty()) port.remove_prefix(1);
    if (port.empty() && authority.back() == ':') return Invalid(url, "the port is missing");
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (port.empty()) return Invalid(url, "the port is missing");
  }
  if (host.empty()) return Invalid(url, "the host is missing");
  if (!port.empty() && (!absl::SimpleAtoi(ToAbsl(port), &parsed.port) || parsed.port == 0 ||
                        parsed.port > kMaxPort)) {
    return Invalid(url, "the port is no number from 1 to 65535");
  }
  parsed.host = host;
  parsed.authority = authority;
  return parsed;
}

}  // namespace weft::meshctl
