// Gets certificates from the mesh's CA.
#ifndef WEFT_INJECTOR_WEBHOOK_SIGNER_H_
#define WEFT_INJECTOR_WEBHOOK_SIGNER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::webhook {

struct Signed {
  std::string chain_pem;               // leaf first, without the root
  std::vector<std::string> roots_pem;  // what whoever verifies it should trust
};

class Signer {
 public:
  virtual ~Signer() = default;
  // Blocks for 10 seconds at most. Unavailable, Unauthenticated, PermissionDenied, ... as the CA
  // says.
  virtual absl::StatusOr<Signed> Sign(const std::string& request_pem) = 0;
};

// By weft.v1.CertificateService.Sign of the control plane, over TLS.
class ControlPlaneSigner final : public Signer {
 public:
  struct Options {
    std::string control_plane;      // "weft-control-plane.weft-system.svc:15012"
    std::string trust_bundle_file;  // PEM roots that the control plane's certificate chains to
    std::string token_file;         // our service-account token for the audience "weft"
    std::string workload;           // "weft-system/weft-injector-..."
  };

  explicit ControlPlaneSigner(Options options) : options_(std::move(options)) {}

  // Files are read anew for every call: both change while the program runs.
  absl::StatusOr<Signed> Sign(const std::string& request_pem) override;

 private:
  const Options options_;
};

// The file's content; NotFound or ResourceExhausted (over 256 KiB) name the file.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_SIGNER_H_
