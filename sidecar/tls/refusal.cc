#include "sidecar/tls/refusal.h"

#include <array>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::tls {
namespace {

using absl::StatusCode;

struct Row {
  Refusal refusal;
  std::string_view name;
  StatusCode code;  // Unauthenticated: what the peer's certificate is to blame for
};

constexpr std::array kRows = {
    Row{Refusal::kBrokenOff, "broken-off", StatusCode::kUnavailable},
    Row{Refusal::kTimeout, "timeout", StatusCode::kDeadlineExceeded},
    Row{Refusal::kRefusedByPeer, "refused-by-peer", StatusCode::kUnavailable},
    Row{Refusal::kMalformed, "malformed", StatusCode::kUnavailable},
    Row{Refusal::kVersion, "tls-version", StatusCode::kUnavailable},
    Row{Refusal::kProtocol, "protocol", StatusCode::kUnavailable},
    Row{Refusal::kNoCertificate, "no-certificate", StatusCode::kUnauthenticated},
    Row{Refusal::kUntrusted, "untrusted", StatusCode::kUnauthenticated},
    Row{Refusal::kSelfSigned, "self-signed", StatusCode::kUnauthenticated},
    Row{Refusal::kExpired, "expired", StatusCode::kUnauthenticated},
    Row{Refusal::kNotYetValid, "not-yet-valid", StatusCode::kUnauthenticated},
    Row{Refusal::kWrongUsage, "wrong-usage", StatusCode::kUnauthenticated},
    Row{Refusal::kChainTooLong, "chain-too-long", StatusCode::kUnauthenticated},
    Row{Refusal::kBadCertificate, "bad-certificate", StatusCode::kUnauthenticated},
    Row{Refusal::kNoIdentity, "no-identity", StatusCode::kUnauthenticated},
    Row{Refusal::kWrongTrustDomain, "wrong-trust-domain", StatusCode::kUnauthenticated},
    Row{Refusal::kWrongIdentity, "wrong-identity", StatusCode::kUnauthenticated},
};

constexpr std::string_view kPayload = "weft/tls-refusal";

const Row& RowOf(Refusal refusal) { return kRows[static_cast<size_t>(refusal)]; }

}  // namespace

std::string_view RefusalName(Refusal refusal) { return RowOf(refusal).name; }

absl::Status Refused(Refusal refusal, std::string_view message) {
  absl::Status status(RowOf(refusal).code, absl::StrCat("TLS handshake: ", ToAbsl(message)));
  status.SetPayload(ToAbsl(kPayload), absl::Cord(ToAbsl(RefusalName(refusal))));
  return status;
}

std::string_view RefusalOf(const absl::Status& status) {
  const absl::optional<absl::Cord> name = status.GetPayload(ToAbsl(kPayload));
  if (!name.has_value()) return "";
  for (const Row& row : kRows) {
    if (*name == ToAbsl(row.name)) return row.name;
  }
  return "";
}

}  // namespace weft::tls
