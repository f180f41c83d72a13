// Checks service-account tokens by asking the Kubernetes API server (authentication.k8s.io/v1
// TokenReview).
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_TOKEN_REVIEWER_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_TOKEN_REVIEWER_H_

#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/kubernetes/data_object.h"
#include "control-plane/ca/pod_token.h"

namespace weft::ca {

// The audience of tokens that are meant for the mesh.
inline constexpr std::string_view kTokenAudience = "weft";

// The API server's answer to a TokenReview: whom it vouches for. Unauthenticated if for nobody, not
// for the audience, or not for a service account. `token` is kept out of messages.
absl::StatusOr<PodToken> ReadTokenReview(std::string_view body, std::string_view token);

// Asks on threads of its own, with a bounded queue; remembers for a few seconds, by hash, what was
// vouched for. Never logs a token.
class KubernetesTokenReviewer final : public PodTokenReviewer {
 public:
  struct Options {
    size_t threads = 4;
    size_t queue = 2000;
    absl::Duration timeout = absl::Seconds(5);  // of one question
    absl::Duration remember = absl::Seconds(10);
    size_t remembered = 10'000;
  };

  KubernetesTokenReviewer(ApiCall call, Options options);
  explicit KubernetesTokenReviewer(ApiCall call)
      : KubernetesTokenReviewer(std::move(call), Options()) {}
  // Waits for the calls that are under way, and answers Unavailable to whoever still waits.
  ~KubernetesTokenReviewer() override;
  KubernetesTokenReviewer(const KubernetesTokenReviewer&) = delete;
  KubernetesTokenReviewer& operator=(const KubernetesTokenReviewer&) = delete;

  void Review(std::string token, Done done) override;

 private:
  struct Question {
    std::string token;
    Done done;
    absl::Time asked;
  };
  struct Vouched {
    PodToken token;
    absl::Time until;
  };

  void Run();
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return stopping_ || !queue_.empty(); }
  absl::StatusOr<PodToken> Ask(const std::string& token);
  void Remember(const std::string& hash, const PodToken& token, absl::Time now);

  const ApiCall call_;
  const Options options_;
  absl::Mutex mu_;
  std::deque<Question> queue_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Vouched> vouched_ ABSL_GUARDED_BY(mu_);  // by hash
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_TOKEN_REVIEWER_H_
