#include "control-plane/ca/kubernetes/api_for_test.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft::ca {

using nlohmann::json;

namespace {

kubernetes::Response Said(int code, const json& body) {
  kubernetes::Response response;
  response.code = code;
  response.body = body.dump();
  response.content_type = "application/json";
  return response;
}

}  // namespace

kubernetes::Response ApiForTest::Refusal(int code, const std::string& reason) {
  return Said(code, {{"kind", "Status"},
                     {"apiVersion", "v1"},
                     {"status", "Failure"},
                     {"message", absl::StrCat("the test says ", reason)},
                     {"reason", reason},
                     {"code", code}});
}

void ApiForTest::Set(const std::string& path, json object) {
  absl::MutexLock lock(&mu_);
  object["metadata"]["resourceVersion"] = absl::StrCat(++version_);
  objects_[path] = std::move(object);
}

void ApiForTest::Remove(const std::string& path) {
  absl::MutexLock lock(&mu_);
  objects_.erase(path);
}

json ApiForTest::Get(const std::string& path) const {
  absl::MutexLock lock(&mu_);
  const auto found = objects_.find(path);
  return found == objects_.end() ? json() : found->second;
}

void ApiForTest::Intercept(Interceptor interceptor) {
  absl::MutexLock lock(&mu_);
  interceptor_ = std::move(interceptor);
}

std::vector<kubernetes::Request> ApiForTest::Calls(const std::string& method,
                                                   const std::string& part) const {
  absl::MutexLock lock(&mu_);
  std::vector<kubernetes::Request> calls = calls_;
  std::erase_if(calls, [&](const kubernetes::Request& call) {
    return call.method != method || !absl::StrContains(call.path, part);
  });
  return calls;
}

ApiForTest::Answer ApiForTest::Reply(const kubernetes::Request& request) {
  Interceptor interceptor;
  {
    absl::MutexLock lock(&mu_);
    calls_.push_back(request);
    interceptor = interceptor_;
  }
  if (interceptor) {
    if (std::optional<Answer> decided = interceptor(request)) return *std::move(decided);
  }
  const json body = json::parse(request.body, nullptr, false);
  absl::MutexLock lock(&mu_);
  if (absl::StrContains(request.path, "?fieldSelector=metadata.name%3D")) {
    return List(request.path);
  }
  if (request.method == "POST") return Create(request.path, body);
  const auto found = objects_.find(request.path);
  if (found == objects_.end()) return Refusal(404, "NotFound");
  if (request.method == "GET") return Said(200, found->second);
  if (request.method != "PATCH" || request.content_type != "application/merge-patch+json") {
    return Refusal(415, "UnsupportedMediaType");
  }
  return Patch(request.path, body);
}

kubernetes::Response ApiForTest::Create(const std::string& path, json object) {
  const std::string at =
      absl::StrCat(path, "/", object.at("metadata").at("name").get<std::string>());
  if (objects_.contains(at)) return Refusal(409, "AlreadyExists");
  object["metadata"]["resourceVersion"] = absl::StrCat(++version_);
  objects_[at] = object;
  return Said(201, object);
}

kubernetes::Response ApiForTest::Patch(const std::string& path, const json& patch) {
  json& object = objects_.at(path);
  const json version = patch.value("/metadata/resourceVersion"_json_pointer, json());
  if (!version.is_null() && version != object["metadata"]["resourceVersion"]) {
    return Refusal(409, "Conflict");
  }
  json after = object;
  after.merge_patch(patch);
  if (after != object) {
    after["metadata"]["resourceVersion"] = absl::StrCat(++version_);
    object = after;
  }
  return Said(200, object);
}

kubernetes::Response ApiForTest::List(const std::string& path) const {
  const size_t from = path.find("%3D") + 3;
  const std::string name = path.substr(from, path.find('&') - from);
  json items = json::array();
  for (const auto& [at, object] : objects_) {
    if (object["metadata"]["name"] == name) items.push_back(object);
  }
  return Said(200, {{"kind", "ConfigMapList"}, {"items", items}});
}

}  // namespace weft::ca
