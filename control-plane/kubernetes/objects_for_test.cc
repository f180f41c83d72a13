#include "control-plane/kubernetes/objects_for_test.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace weft::cluster {

using nlohmann::json;

bool Await(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

ObjectsForTest::ObjectsForTest() {
  server_.SetHandler([this](const Call& call, Reply& reply) {
    std::function<std::optional<Reply>(const Call&)> interceptor;
    {
      const std::lock_guard lock(mutex_);
      interceptor = interceptor_;
    }
    std::optional<Reply> decided = interceptor ? interceptor(call) : std::nullopt;
    reply = decided ? *std::move(decided) : Answer(call);
    return true;
  });
}

ObjectsForTest::Reply ObjectsForTest::Refusal(int code, const std::string& reason) {
  return {.code = code,
          .body = json({{"kind", "Status"},
                        {"status", "Failure"},
                        {"message", absl::StrCat("the test says ", reason)},
                        {"reason", reason},
                        {"code", code}})
                      .dump()};
}

void ObjectsForTest::Set(const std::string& path, json object) {
  const std::lock_guard lock(mutex_);
  Store(path, std::move(object), 200);
}

void ObjectsForTest::Remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  objects_.erase(path);
}

json ObjectsForTest::Get(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(path);
  return found == objects_.end() ? json() : found->second;
}

std::vector<json> ObjectsForTest::GetAll(const std::string& prefix) const {
  const std::lock_guard lock(mutex_);
  std::vector<json> found;
  for (const auto& [path, object] : objects_) {
    if (absl::StartsWith(path, prefix)) found.push_back(object);
  }
  return found;
}

void ObjectsForTest::Intercept(std::function<std::optional<Reply>(const Call&)> interceptor) {
  const std::lock_guard lock(mutex_);
  interceptor_ = std::move(interceptor);
}

void ObjectsForTest::Refuse(int code, const std::string& reason) {
  Intercept([=](const Call&) { return Refusal(code, reason); });
}

void ObjectsForTest::Relent() { Intercept(nullptr); }

std::vector<ObjectsForTest::Call> ObjectsForTest::Calls(const std::string& method,
                                                        const std::string& part) const {
  std::vector<Call> calls = server_.Calls();
  std::erase_if(calls, [&](const Call& call) {
    return (!method.empty() && call.method != method) ||
           call.target.find(part) == std::string::npos;
  });
  return calls;
}

bool ObjectsForTest::AwaitCalls(const std::string& method, const std::string& part,
                                size_t count) const {
  return Await([&] { return Calls(method, part).size() >= count; });
}

ObjectsForTest::Reply ObjectsForTest::Answer(const Call& call) {
  std::string path = call.target.substr(0, call.target.find('?'));
  const bool status = absl::EndsWith(path, "/status");
  if (status) path.resize(path.size() - std::string_view("/status").size());
  const json body = json::parse(call.body, nullptr, false);
  const std::lock_guard lock(mutex_);
  if (call.method == "POST") return Create(path, body);
  const auto found = objects_.find(path);
  if (found == objects_.end()) return Refusal(404, "NotFound");
  if (call.method == "GET") return {.code = 200, .body = found->second.dump()};
  return Update(path, body, call.method == "PATCH", status);
}

ObjectsForTest::Reply ObjectsForTest::Create(const std::string& path, const json& body) {
  const std::string object_path =
      absl::StrCat(path, "/", body.at("metadata").at("name").get<std::string>());
  if (objects_.contains(object_path)) return Refusal(409, "AlreadyExists");
  return Store(object_path, body, 201);
}

ObjectsForTest::Reply ObjectsForTest::Update(const std::string& path, json body, bool patch,
                                             bool status) {
  const json& before = objects_.at(path);
  const json version = body.value("/metadata/resourceVersion"_json_pointer, json());
  if (!patch && version.is_null()) return Refusal(422, "Invalid");
  if (!version.is_null() && version != before["metadata"]["resourceVersion"]) {
    return Refusal(409, "Conflict");
  }
  json after = before;
  if (patch) {
    after.merge_patch(body);
  } else {
    after = std::move(body);
  }
  if (status) {
    json kept = before;
    kept["status"] = after["status"];
    after = std::move(kept);
  }
  if (after == before) return {.code = 200, .body = before.dump()};
  return Store(path, std::move(after), 200);
}

ObjectsForTest::Reply ObjectsForTest::Store(const std::string& path, json object, int code) {
  object["metadata"]["resourceVersion"] = absl::StrCat(++version_);
  std::string body = object.dump();
  objects_[path] = std::move(object);
  return {.code = code, .body = std::move(body)};
}

}  // namespace weft::cluster
