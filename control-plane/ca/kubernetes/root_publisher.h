// The mesh's public roots in ConfigMap weft-root of every namespace that needs them: sidecars mount
// it, to know their control plane at first sight.
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_ROOT_PUBLISHER_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_ROOT_PUBLISHER_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/kubernetes/data_object.h"

namespace weft::ca {

inline constexpr std::string_view kRootConfigMap = "weft-root";
inline constexpr std::string_view kRootKey = "root.pem";

// Thread-safe; Round is called by one thread, of the leader only.
class RootPublisher {
 public:
  struct Options {
    // How often all ConfigMaps are looked at, to repair what somebody has changed.
    absl::Duration look_again = absl::Seconds(30);
    // How long a namespace that refuses is left alone, doubling from the first to the second.
    absl::Duration retry_min = absl::Seconds(1);
    absl::Duration retry_max = absl::Minutes(1);
  };
  // The namespaces that need the roots now.
  using Namespaces = std::function<std::vector<std::string>()>;

  RootPublisher(DataObjects objects, Namespaces namespaces, Options options)
      : objects_(std::move(objects)), namespaces_(std::move(namespaces)), options_(options) {}

  // Writes the roots wherever they are missing or others.
  void Round(const std::string& roots_pem, absl::Time now);

  // Which namespaces that exist do not have these roots yet, in words; empty: all have.
  std::string Missing(const std::string& roots_pem) const;

  // Forgets what it knows: another replica has led.
  void Forget();

 private:
  struct State {
    std::string roots_pem;  // as known to be there; empty: unknown or absent
    absl::Time retry = absl::InfinitePast();
    absl::Duration wait = absl::ZeroDuration();
    bool gone = false;  // the namespace is not there, or on its way out
    std::string refusal;
  };

  absl::Status Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Write(const std::string& name_space, const std::string& roots_pem) const;

  const DataObjects objects_;
  const Namespaces namespaces_;
  const Options options_;
  mutable absl::Mutex mu_;
  std::map<std::string, State> states_ ABSL_GUARDED_BY(mu_);
  absl::Time looked_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  bool looking_failed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_ROOT_PUBLISHER_H_
