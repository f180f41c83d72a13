// Labels of the standard metrics, as views into whatever the caller has at hand.
#ifndef WEFT_SIDECAR_TELEMETRY_LABELS_H_
#define WEFT_SIDECAR_TELEMETRY_LABELS_H_

#include <cstdint>
#include <string_view>
#include <utility>

namespace weft::telemetry {

// Which sidecar reports: the caller's or the callee's.
enum class Reporter : uint8_t { kSource, kDestination };

// How the hop was protected. Istio reports it at the destination; at the source it is "unknown".
enum class Security : uint8_t { kUnknown, kNone, kMutualTls };

// One end of a hop. What is not known stays empty and is shown as "unknown".
struct Peer {
  std::string_view workload = {};
  std::string_view name_space = {};
  std::string_view
      principal;  // SPIFFE ID, with or without "spiffe://"; shown without, as Istio does

  bool operator==(const Peer&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Peer& p) {
    return H::combine(std::move(h), p.workload, p.name_space, p.principal);
  }
};

// What both kinds of metrics have.
struct HopLabels {
  Reporter reporter = Reporter::kSource;
  Peer source = {};
  Peer destination = {};
  std::string_view service = {};  // "namespace/name", as resources name it; empty: not a service
  // Where the client meant to go when there is no service ("example.org", "10.1.2.3"); only used
  // then.
  std::string_view host = {};
  Security security = Security::kUnknown;
  std::string_view response_flags = {};  // Envoy's abbreviations ("UH", "UF"); empty: "-"

  bool operator==(const HopLabels&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const HopLabels& l) {
    return H::combine(std::move(h), l.reporter, l.source, l.destination, l.service, l.host,
                      l.security, l.response_flags);
  }
};

struct RequestLabels : HopLabels {
  bool grpc = false;                           // request_protocol "grpc", else "http"
  uint16_t response_code = 0;                  // 0: the client went away before there was one
  std::string_view grpc_response_status = {};  // "0" to "16"; empty if it is not gRPC

  bool operator==(const RequestLabels&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const RequestLabels& l) {
    return H::combine(std::move(h), static_cast<const HopLabels&>(l), l.grpc, l.response_code,
                      l.grpc_response_status);
  }
};

struct TcpLabels : HopLabels {
  bool operator==(const TcpLabels&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const TcpLabels& l) {
    return H::combine(std::move(h), static_cast<const HopLabels&>(l));
  }
};

}  // namespace weft::telemetry

#endif  // WEFT_SIDECAR_TELEMETRY_LABELS_H_
