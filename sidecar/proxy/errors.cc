#include "sidecar/proxy/errors.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sidecar/io/buffer.h"

namespace weft::proxy {
namespace {

struct Description {
  int status;
  std::string_view reason;
  std::string_view flags;
};

Description Describe(Error error) {
  switch (error) {
    case Error::kNone:
      return {200, "none", "-"};
    case Error::kBadRequest:
      return {400, "bad-request", "DPE"};
    case Error::kConnectRefused:
      return {405, "connect-refused", "DPE"};
    case Error::kBodyTooLarge:
      return {413, "body-too-large", "DPE"};
    case Error::kNoHealthyUpstream:
      return {503, "no-healthy-upstream", "UH"};
    case Error::kUpstreamConnectFailure:
      return {503, "upstream-connect-failure", "UF"};
    case Error::kUpstreamIdentity:
      return {503, "upstream-identity", "UF"};
    case Error::kUpstreamReset:
      return {502, "upstream-reset", "UC"};
    case Error::kUpstreamTimeout:
      return {504, "upstream-timeout", "UT"};
    case Error::kUpstreamMalformed:
      return {502, "upstream-malformed", "UPE"};
    case Error::kNoCertificate:
      return {503, "no-certificate", "UF"};
    case Error::kControlPlaneUnavailable:
      return {503, "control-plane-unavailable", "NC"};
    case Error::kUnknownDestination:
      return {502, "unknown-destination", "NR"};
    case Error::kDownstreamGone:
      return {499, "downstream-gone", "DC"};
    case Error::kMtlsRequired:
      return {403, "mtls-required", "UAEX"};
    case Error::kOverloaded:
      return {503, "overloaded", "UO"};
  }
  return {500, "unknown", "-"};
}

}  // namespace

std::string_view ReasonOf(Error error) { return Describe(error).reason; }
int StatusOf(Error error) { return Describe(error).status; }
std::string_view FlagsOf(Error error) { return Describe(error).flags; }

Error ErrorOfConnect(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return Error::kUpstreamIdentity;
    case absl::StatusCode::kFailedPrecondition:
      return Error::kNoCertificate;
    case absl::StatusCode::kResourceExhausted:
      return Error::kOverloaded;
    default:
      return Error::kUpstreamConnectFailure;
  }
}

void RespondWithError(http::ServerExchange& exchange, Error error, std::string_view detail,
                      int status) {
  const std::string_view reason = ReasonOf(error);
  const std::string body =
      absl::StrCat("weft: ", ToAbsl(reason), detail.empty() ? "" : ": ", ToAbsl(detail), "\n");
  http::ResponseHead head;
  head.status = status == 0 ? StatusOf(error) : status;
  head.headers.Add("weft-error", reason);
  head.headers.Add("content-type", "text/plain; charset=utf-8");
  head.has_body = exchange.request().method != "HEAD";
  head.content_length = body.size();
  exchange.Respond(head);
  if (!head.has_body) return;
  // Small enough for every buffer and window that has just been opened; what does not fit is not
  // worth waiting for.
  exchange.Write(io::AsBytes(body));
  exchange.End(http::Headers());
  exchange.Flush();
}

}  // namespace weft::proxy
