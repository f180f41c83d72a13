#include "sidecar/proxy/errors.h"

#include <cstdint>
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
  std::string_view grpc_status;
};

// The status codes of gRPC that are used. What a later attempt may change is kGrpcUnavailable:
// clients retry it.
constexpr std::string_view kGrpcOk = "0";
constexpr std::string_view kGrpcCancelled = "1";
constexpr std::string_view kGrpcDeadlineExceeded = "4";
constexpr std::string_view kGrpcPermissionDenied = "7";
constexpr std::string_view kGrpcResourceExhausted = "8";
constexpr std::string_view kGrpcUnimplemented = "12";
constexpr std::string_view kGrpcInternal = "13";
constexpr std::string_view kGrpcUnavailable = "14";

Description Describe(Error error) {
  switch (error) {
    case Error::kNone:
      return {200, "none", "-", kGrpcOk};
    case Error::kBadRequest:
      return {400, "bad-request", "DPE", kGrpcInternal};
    case Error::kConnectRefused:
      return {405, "connect-refused", "DPE", kGrpcUnimplemented};
    case Error::kBodyTooLarge:
      return {413, "body-too-large", "DPE", kGrpcResourceExhausted};
    case Error::kNoHealthyUpstream:
      return {503, "no-healthy-upstream", "UH", kGrpcUnavailable};
    case Error::kUpstreamConnectFailure:
      return {503, "upstream-connect-failure", "UF", kGrpcUnavailable};
    case Error::kUpstreamIdentity:
      return {503, "upstream-identity", "UF", kGrpcUnavailable};
    case Error::kUpstreamReset:
      return {502, "upstream-reset", "UC", kGrpcUnavailable};
    case Error::kUpstreamTimeout:
      return {504, "upstream-timeout", "UT", kGrpcDeadlineExceeded};
    case Error::kUpstreamMalformed:
      return {502, "upstream-malformed", "UPE", kGrpcInternal};
    case Error::kNoCertificate:
      return {503, "no-certificate", "UF", kGrpcUnavailable};
    case Error::kControlPlaneUnavailable:
      return {503, "control-plane-unavailable", "NC", kGrpcUnavailable};
    case Error::kUnknownDestination:
      return {502, "unknown-destination", "NR", kGrpcUnavailable};
    case Error::kDownstreamGone:
      return {499, "downstream-gone", "DC", kGrpcCancelled};
    case Error::kMtlsRequired:
      return {403, "mtls-required", "UAEX", kGrpcPermissionDenied};
    case Error::kOverloaded:
      return {503, "overloaded", "UO", kGrpcUnavailable};
  }
  return {500, "unknown", "-", kGrpcInternal};
}

// "application/grpc", also with a message format ("+proto") or parameters; grpc-web is none.
bool IsGrpc(const http::RequestHead& request) {
  constexpr std::string_view kType = "application/grpc";
  const std::string_view type = request.headers.Get("content-type").value_or("");
  return http::NamesEqual(type.substr(0, kType.size()), kType) &&
         (type.size() == kType.size() || type[kType.size()] == '+' || type[kType.size()] == ';');
}

// The form of `grpc-message` (gRPC over HTTP/2): percent-encoded but for visible ASCII and blanks.
std::string PercentEncoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    encoded.push_back('%');
    encoded.push_back(kDigits[byte >> 4]);
    encoded.push_back(kDigits[byte & 15]);
  }
  return encoded;
}

}  // namespace

std::string_view ReasonOf(Error error) { return Describe(error).reason; }
int StatusOf(Error error) { return Describe(error).status; }
std::string_view GrpcStatusOf(Error error) { return Describe(error).grpc_status; }
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

ErrorAnswer RespondWithError(http::ServerExchange& exchange, Error error, std::string_view detail,
                             int status, std::string_view mark) {
  const std::string_view reason = ReasonOf(error);
  const std::string text =
      absl::StrCat("weft: ", ToAbsl(reason), detail.empty() ? "" : ": ", ToAbsl(detail));
  http::ResponseHead head;
  head.headers.Add("weft-error", reason);
  if (!mark.empty()) head.headers.Add(mark, "1");
  if (IsGrpc(exchange.request())) {
    head.status = 200;
    head.headers.Add("content-type", "application/grpc");
    head.headers.Add("grpc-status", GrpcStatusOf(error));
    head.headers.Add("grpc-message", PercentEncoded(text));
    exchange.Respond(head);
    exchange.Flush();
    return {.status = head.status, .grpc_status = GrpcStatusOf(error)};
  }
  head.status = status == 0 ? StatusOf(error) : status;
  head.headers.Add("content-type", "text/plain; charset=utf-8");
  head.has_body = exchange.request().method != "HEAD";
  const std::string body = text + "\n";
  head.content_length = body.size();
  exchange.Respond(head);
  if (!head.has_body) return {.status = head.status, .grpc_status = ""};
  // Small enough for every buffer and window that has just been opened; what does not fit is not
  // worth waiting for.
  exchange.Write(io::AsBytes(body));
  exchange.End(http::Headers());
  exchange.Flush();
  return {.status = head.status, .grpc_status = ""};
}

}  // namespace weft::proxy
