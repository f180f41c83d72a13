// Join tokens: secrets bound to one identity, with which a sidecar obtains its first certificate
// where no Kubernetes vouches for it. Kept by hash in STATE/join-tokens.json, which several
// processes may extend.
#ifndef WEFT_CONTROL_PLANE_CA_JOIN_TOKEN_STORE_H_
#define WEFT_CONTROL_PLANE_CA_JOIN_TOKEN_STORE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/join_tokens.pb.h"
#include "control-plane/ca/state_directory.h"

namespace weft::ca {

// What a new token grants.
struct JoinGrant {
  std::string name_space;
  std::string service_account;
  std::string workload = {};  // "namespace/pod"; empty: any pod of the service account
  absl::Duration lifetime = absl::Hours(24);
};

// Makes a token (256 random bits, "weft-join-" and 43 characters of base64url), stores its hash,
// and returns it: the only time that it is visible. Drops expired ones from the file.
// InvalidArgument names the field of the grant that is wrong; ResourceExhausted if 10,000 tokens
// are valid already.
absl::StatusOr<std::string> CreateJoinToken(const StateDirectory& state, const JoinGrant& grant,
                                            absl::Time now);

// The tokens as the control plane checks them. Thread-safe. Reads the file again whenever it has
// changed.
class JoinTokenStore {
 public:
  explicit JoinTokenStore(StateDirectory state) : state_(std::move(state)) {}

  // What `token` grants. Unauthenticated if it is unknown or has expired; FailedPrecondition if the
  // file is unusable. Takes the same time for every token that is not there.
  absl::StatusOr<JoinToken> Check(std::string_view token, absl::Time now);

 private:
  // Identifies one content of the file: a rename changes the inode.
  struct Stamp {
    ino_t inode = 0;
    int64_t modified_ns = 0;
    off_t size = 0;
    bool operator==(const Stamp&) const = default;
  };

  absl::Status Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const StateDirectory state_;
  absl::Mutex mu_;
  Stamp stamp_ ABSL_GUARDED_BY(mu_);
  JoinTokens tokens_ ABSL_GUARDED_BY(mu_);
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_JOIN_TOKEN_STORE_H_
