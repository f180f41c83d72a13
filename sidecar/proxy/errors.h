// What a client is told when its request cannot be served: the one place that maps errors to
// answers.
#ifndef WEFT_SIDECAR_PROXY_ERRORS_H_
#define WEFT_SIDECAR_PROXY_ERRORS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "sidecar/http/message.h"

namespace weft::proxy {

// Why a request or a connection failed here and not at the application. docs/reference/errors.md
// explains each to users; the names are a contract.
enum class Error : uint8_t {
  kNone,
  kBadRequest,               // the request is malformed or could be read in two ways
  kConnectRefused,           // the method CONNECT
  kBodyTooLarge,             // larger than client-max-body-size
  kNoHealthyUpstream,        // no backend with weight has an endpoint
  kUpstreamConnectFailure,   // no endpoint could be connected to
  kUpstreamIdentity,         // the endpoint did not prove the identity that it should have
  kUpstreamReset,            // the endpoint broke off before or while it answered
  kUpstreamTimeout,          // no answer in time
  kUpstreamMalformed,        // the endpoint's answer is not HTTP
  kNoCertificate,            // this sidecar has no certificate yet
  kControlPlaneUnavailable,  // the destination is not known and nobody answers for it
  kUnknownDestination,       // outside the mesh, which the mesh's settings forbid
  kDownstreamGone,           // the client broke off; nobody is told
  kMtlsRequired,             // plaintext where the mode is strict; the connection is reset
  kOverloaded,               // too many connections, connects under way or destinations in use
};

// The value of `weft-error` and of the metric's label.
std::string_view ReasonOf(Error error);
int StatusOf(Error error);
// What a gRPC client is told, as a decimal number.
std::string_view GrpcStatusOf(Error error);
// Envoy's abbreviation for the standard metrics' response_flags, which dashboards know.
std::string_view FlagsOf(Error error);

// What a failed attempt to reach an upstream means.
Error ErrorOfConnect(const absl::Status& status);

// What a client was sent.
struct ErrorAnswer {
  int status;
  std::string_view grpc_status;  // empty: the request was no gRPC
};

// Answers the exchange with the error: its status, `weft-error` and a line of text that says what
// happened. `status` replaces the usual one if it is not 0; `mark` is the name of one more field. A
// gRPC client takes no status but 200: it is sent `grpc-status` and `grpc-message` in a response of
// nothing but a head ("Trailers-Only", gRPC over HTTP/2). For exchanges that have not been answered
// yet.
ErrorAnswer RespondWithError(http::ServerExchange& exchange, Error error, std::string_view detail,
                             int status = 0, std::string_view mark = "");

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_ERRORS_H_
