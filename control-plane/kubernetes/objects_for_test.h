// Objects on an API server for tests: kept, versioned, and guarded against lost updates, as the
// recordings of a real server show it.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_OBJECTS_FOR_TEST_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_OBJECTS_FOR_TEST_H_

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/kubernetes/api_server_for_test.h"

namespace weft::cluster {

// Thread-safe. GET, POST, PUT (409, 422) and merge PATCH, also of the status subresource.
class ObjectsForTest {
 public:
  using Call = kubernetes::ApiServerForTest::Call;
  using Reply = kubernetes::ApiServerForTest::Reply;

  ObjectsForTest();

  kubernetes::Config config() const { return server_.config(); }

  // Puts an object at its path ("/apis/.../namespaces/shop/trafficsplits/tea"), with a new version.
  void Set(const std::string& path, nlohmann::json object);
  void Remove(const std::string& path);
  // Null if there is none.
  nlohmann::json Get(const std::string& path) const;
  std::vector<nlohmann::json> GetAll(const std::string& prefix) const;

  // Decides before the objects do; nullopt: they decide. Called under no lock.
  void Intercept(std::function<std::optional<Reply>(const Call&)> interceptor);
  void Refuse(int code, const std::string& reason);  // every call from now on
  void Relent();                                     // no longer

  // The calls so far of a method (empty: any) and with `part` in their target.
  std::vector<Call> Calls(const std::string& method, const std::string& part) const;
  // Waits until there are so many; false after ten seconds.
  bool AwaitCalls(const std::string& method, const std::string& part, size_t count) const;

  static Reply Refusal(int code, const std::string& reason);

 private:
  Reply Answer(const Call& call);
  Reply Create(const std::string& path, const nlohmann::json& body);
  Reply Update(const std::string& path, nlohmann::json body, bool patch, bool status);
  Reply Store(const std::string& path, nlohmann::json object, int code);

  mutable std::mutex mutex_;
  std::map<std::string, nlohmann::json> objects_;
  int version_ = 100;
  std::function<std::optional<Reply>(const Call&)> interceptor_;
  kubernetes::ApiServerForTest server_;  // last: it calls us until it is gone
};

// Waits until the condition holds; false after ten seconds.
bool Await(const std::function<bool()>& condition);

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_OBJECTS_FOR_TEST_H_
