// An API server's objects, in the test's own process: as the recordings of a real one show it
// answer.
#ifndef WEFT_CONTROL_PLANE_CA_KUBERNETES_API_FOR_TEST_H_
#define WEFT_CONTROL_PLANE_CA_KUBERNETES_API_FOR_TEST_H_

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "control-plane/ca/kubernetes/data_object.h"

namespace weft::ca {

// Thread-safe. GET, POST, merge PATCH with and without a resourceVersion, and the list of all
// ConfigMaps of one name.
class ApiForTest {
 public:
  using Answer = absl::StatusOr<kubernetes::Response>;
  using Interceptor = std::function<std::optional<Answer>(const kubernetes::Request&)>;

  // The calls end with the object.
  ApiCall call() {
    return [this](const kubernetes::Request& request) { return Reply(request); };
  }

  void Set(const std::string& path, nlohmann::json object);
  void Remove(const std::string& path);
  // Null if there is none.
  nlohmann::json Get(const std::string& path) const;

  // Decides before the objects do; nullopt: they decide. Null: no longer.
  void Intercept(Interceptor interceptor);
  // A Status as servers refuse with.
  static kubernetes::Response Refusal(int code, const std::string& reason);

  // The calls so far of a method and with `part` in their path.
  std::vector<kubernetes::Request> Calls(const std::string& method, const std::string& part) const;

 private:
  Answer Reply(const kubernetes::Request& request);
  kubernetes::Response Create(const std::string& path, nlohmann::json object)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  kubernetes::Response Patch(const std::string& path, const nlohmann::json& patch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  kubernetes::Response List(const std::string& path) const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::map<std::string, nlohmann::json> objects_ ABSL_GUARDED_BY(mu_);
  int version_ ABSL_GUARDED_BY(mu_) = 100;
  Interceptor interceptor_ ABSL_GUARDED_BY(mu_);
  std::vector<kubernetes::Request> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_KUBERNETES_API_FOR_TEST_H_
