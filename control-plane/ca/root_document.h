// The CA's state as one document of text: the root that signs with its key, the other root of a
// rotation, and where that rotation stands. It is PEM (RFC 7468): a line of explanatory text,
// "Weft-Rotation: {...}", holds the record as JSON; without it the document is one certificate and
// its key. Secret.
#ifndef WEFT_CONTROL_PLANE_CA_ROOT_DOCUMENT_H_
#define WEFT_CONTROL_PLANE_CA_ROOT_DOCUMENT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/x509_certificate.h"
#include "base/x509_key.h"
#include "control-plane/ca/rotation_record.pb.h"

namespace weft::ca {

inline constexpr size_t kMaxDocumentBytes = 64 * 1024;

// A root; the one that is on its way out has no key any more.
struct Root {
  x509::Certificate certificate;
  std::optional<x509::PrivateKey> key;
};

// A new P-256 root for the trust domain, valid for ten years.
absl::StatusOr<Root> NewRoot(std::string_view trust_domain, absl::Time now);

// A value.
struct RootDocument {
  Root signing;               // always with a key
  std::optional<Root> other;  // the next one, with its key, or the old one, without
  RotationRecord record;

  // Reads a document. FailedPrecondition says what is wrong with it: unreadable, not a CA,
  // expired, of the future, a key of another pair, or not what its phase demands.
  static absl::StatusOr<RootDocument> Parse(std::string_view text, absl::Time now);

  absl::StatusOr<std::string> ToText() const;

  // What peers should trust, in the phase's order.
  std::vector<x509::Certificate> Trusted() const;
};

absl::Time ToAbslTime(const google::protobuf::Timestamp& timestamp);
google::protobuf::Timestamp ToTimestamp(absl::Time time);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_ROOT_DOCUMENT_H_
