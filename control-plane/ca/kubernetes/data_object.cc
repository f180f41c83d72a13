#include "control-plane/ca/kubernetes/data_object.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/kubernetes/status.h"
#include "base/strings.h"

namespace weft::ca {
namespace {

using Kind = DataObjectName::Kind;
using Json = nlohmann::json;

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr size_t kMaxBytes = 16 << 20;

const char* KindName(Kind kind) { return kind == Kind::kSecret ? "Secret" : "ConfigMap"; }
const char* Plural(Kind kind) { return kind == Kind::kSecret ? "secrets" : "configmaps"; }

std::string CollectionPath(Kind kind, std::string_view name_space) {
  return absl::StrCat("/api/v1/namespaces/", kubernetes::EscapeUrl(name_space), "/", Plural(kind));
}

std::string ObjectPath(const DataObjectName& name) {
  return absl::StrCat(CollectionPath(name.kind, name.name_space), "/",
                      kubernetes::EscapeUrl(name.name));
}

std::string StringOf(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string Encoded(Kind kind, const std::string& value) {
  return kind == Kind::kSecret ? absl::Base64Escape(value) : value;
}

absl::Status Malformed(std::string_view what, std::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(ToAbsl(what), ": ", ToAbsl(why)));
}

absl::StatusOr<DataObject> Read(Kind kind, const Json& json, std::string_view what) {
  const auto metadata = json.is_object() ? json.find("metadata") : json.end();
  if (!json.is_object() || metadata == json.end() || !metadata->is_object()) {
    return Malformed(what, "the API server's answer is no object");
  }
  DataObject object{.name_space = StringOf(*metadata, "namespace"),
                    .resource_version = StringOf(*metadata, "resourceVersion"),
                    .type = StringOf(json, "type"),
                    .data = {}};
  const auto data = json.find("data");
  if (data == json.end() || !data->is_object()) return object;
  for (const auto& [key, value] : data->items()) {
    if (!value.is_string()) return Malformed(what, absl::StrCat("data[", key, "] is no string"));
    const std::string text = value.get<std::string>();
    std::string decoded;
    if (kind != Kind::kSecret) {
      object.data[key] = text;
    } else if (absl::Base64Unescape(text, &decoded)) {
      object.data[key] = std::move(decoded);
    } else {
      return Malformed(what, absl::StrCat("data[", key, "] is not base64"));
    }
  }
  return object;
}

}  // namespace

ApiCall CallOf(kubernetes::Client& client, const kubernetes::Cancellation& cancellation) {
  return [&client, &cancellation](const kubernetes::Request& request) {
    return client.Call(request, &cancellation);
  };
}

std::string DataObjectName::ToString() const {
  return absl::StrCat(KindName(kind), " ", name_space, "/", name);
}

absl::StatusOr<kubernetes::Response> DataObjects::Call(kubernetes::Request request,
                                                       std::string_view verb,
                                                       std::string_view what) const {
  request.timeout = kTimeout;
  request.max_response_bytes = kMaxBytes;
  absl::StatusOr<kubernetes::Response> response = call_(request);
  if (!response.ok()) {
    return absl::Status(response.status().code(),
                        absl::StrCat("cannot ", ToAbsl(verb), " ", ToAbsl(what), ": ",
                                     response.status().message()));
  }
  if (absl::Status refused = kubernetes::StatusOf(*response, verb, what); !refused.ok()) {
    return refused;
  }
  return response;
}

absl::StatusOr<DataObject> DataObjects::Get(const DataObjectName& name) const {
  absl::StatusOr<kubernetes::Response> response =
      Call({.path = ObjectPath(name)}, "get", name.ToString());
  if (!response.ok()) return response.status();
  return Read(name.kind, Json::parse(response->body, nullptr, false), name.ToString());
}

absl::StatusOr<std::vector<DataObject>> DataObjects::ListNamed(Kind kind,
                                                               std::string_view name) const {
  const std::string what = absl::StrCat(KindName(kind), "s named ", ToAbsl(name));
  // As of now or a moment ago: from the server's cache.
  absl::StatusOr<kubernetes::Response> response =
      Call({.path = absl::StrCat("/api/v1/", Plural(kind), "?fieldSelector=metadata.name%3D",
                                 kubernetes::EscapeUrl(name), "&resourceVersion=0")},
           "list", what);
  if (!response.ok()) return response.status();
  const Json json = Json::parse(response->body, nullptr, false);
  const auto items = json.is_object() ? json.find("items") : json.end();
  if (!json.is_object() || items == json.end()) return Malformed(what, "the answer is no list");
  std::vector<DataObject> objects;
  for (const Json& item : *items) {
    absl::StatusOr<DataObject> object = Read(kind, item, what);
    if (!object.ok()) return object.status();
    objects.push_back(*std::move(object));
  }
  return objects;
}

absl::Status DataObjects::Create(const DataObjectName& name,
                                 const std::map<std::string, std::string>& data) const {
  Json json = {{"apiVersion", "v1"},
               {"kind", KindName(name.kind)},
               {"metadata",
                {{"name", name.name},
                 {"namespace", name.name_space},
                 {"labels",
                  {{"app.kubernetes.io/name", "weft"},
                   {"app.kubernetes.io/managed-by", "weft-control-plane"}}}}},
               {"data", Json::object()}};
  if (name.kind == Kind::kSecret) json["type"] = "Opaque";
  for (const auto& [key, value] : data) json["data"][key] = Encoded(name.kind, value);
  return Call({.method = "POST",
               .path = CollectionPath(name.kind, name.name_space),
               .body = json.dump(-1, ' ', false, Json::error_handler_t::replace)},
              "create", name.ToString())
      .status();
}

absl::Status DataObjects::Merge(const DataObjectName& name,
                                const std::map<std::string, std::optional<std::string>>& data,
                                std::string_view resource_version) const {
  Json json = {{"data", Json::object()}};
  if (!resource_version.empty()) json["metadata"]["resourceVersion"] = resource_version;
  for (const auto& [key, value] : data) {
    json["data"][key] = value.has_value() ? Json(Encoded(name.kind, *value)) : Json();
  }
  return Call({.method = "PATCH",
               .path = ObjectPath(name),
               .body = json.dump(-1, ' ', false, Json::error_handler_t::replace),
               .content_type = "application/merge-patch+json"},
              "patch", name.ToString())
      .status();
}

absl::StatusOr<bool> DataObjects::PodExists(std::string_view name_space,
                                            std::string_view pod) const {
  const absl::Status found =
      Call({.path = absl::StrCat("/api/v1/namespaces/", kubernetes::EscapeUrl(name_space), "/pods/",
                                 kubernetes::EscapeUrl(pod))},
           "get", absl::StrCat("Pod ", ToAbsl(name_space), "/", ToAbsl(pod)))
          .status();
  if (found.ok()) return true;
  if (absl::IsNotFound(found)) return false;
  return found;
}

}  // namespace weft::ca
