#include "sidecar/discovery/config_dump.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "weft/v1/inspect.pb.h"

namespace weft::discovery {
namespace {

using Entry = Subscriptions::Table::value_type;

std::vector<const Entry*> Sorted(const Subscriptions::Table& table) {
  std::vector<const Entry*> entries;
  entries.reserve(table.size());
  for (const Entry& entry : table) entries.push_back(&entry);
  std::ranges::sort(entries, {}, [](const Entry* e) -> const std::string& { return e->first; });
  return entries;
}

google::protobuf::Struct& AddTo(google::protobuf::ListValue& list, ResourceType type,
                                const std::string& name) {
  google::protobuf::Struct& item = *list.add_values()->mutable_struct_value();
  (*item.mutable_fields())["type"].set_string_value(std::string(TypeName(type)));
  (*item.mutable_fields())["name"].set_string_value(name);
  return item;
}

// What was held has been parsed before, so that parsing it again succeeds.
void Fill(weft::v1::ConfigResource& out, ResourceType type, const Resource& resource) {
  switch (type) {
    case ResourceType::kTrustBundle:
      out.mutable_trust_bundle()->ParseFromString(resource.bytes);
      break;
    case ResourceType::kMeshSettings:
      out.mutable_mesh_settings()->ParseFromString(resource.bytes);
      break;
    case ResourceType::kWorkload:
      out.mutable_workload()->ParseFromString(resource.bytes);
      break;
    case ResourceType::kDestination:
      out.mutable_destination()->ParseFromString(resource.bytes);
      break;
    case ResourceType::kEndpoints:
      *out.mutable_endpoints() = *resource.endpoints;
      break;
  }
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails for messages that are no JSON, such as an Any of an unknown type: there is none in ours.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}\n";
  return json;
}

}  // namespace

std::string DumpConfig(const Subscriptions& subscriptions) {
  weft::v1::GetProxyConfigResponse held;
  google::protobuf::Struct others;
  google::protobuf::ListValue& asked = *(*others.mutable_fields())["asked"].mutable_list_value();
  google::protobuf::ListValue& absent = *(*others.mutable_fields())["absent"].mutable_list_value();
  google::protobuf::ListValue& refused =
      *(*others.mutable_fields())["refused"].mutable_list_value();
  for (size_t i = 0; i < kTypes; ++i) {
    const auto type = static_cast<ResourceType>(i);
    for (const Entry* entry : Sorted(subscriptions.table(type))) {
      const auto& [name, resource] = *entry;
      if (!resource.refused.empty()) {
        (*AddTo(refused, type, name).mutable_fields())["reason"].set_string_value(resource.refused);
      }
      switch (resource.answer) {
        case Answer::kAsked:
          AddTo(asked, type, name);
          break;
        case Answer::kAbsent:
          AddTo(absent, type, name);
          break;
        case Answer::kPresent: {
          weft::v1::ConfigResource& out = *held.add_resources();
          out.set_type(std::string(TypeName(type)));
          out.set_name(name);
          out.set_version(resource.version);
          Fill(out, type, resource);
          break;
        }
      }
    }
  }
  // Two JSON objects made one: the held resources keep the mapping of their own messages.
  std::string resources = ToJson(held);
  std::string rest = ToJson(others);
  resources.resize(resources.rfind('}'));
  while (resources.back() == '\n' || resources.back() == ' ') resources.pop_back();
  if (resources != "{") resources += ',';
  return resources + "\n" + rest.substr(rest.find('{') + 1);
}

}  // namespace weft::discovery
