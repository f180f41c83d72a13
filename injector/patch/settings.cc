#include "injector/patch/settings.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "injector/init/redirection.h"
#include "injector/patch/quantity.h"
#include "injector/patch/yaml.h"

namespace weft::inject {
namespace {

constexpr size_t kMaxListItems = 256;
constexpr size_t kMaxTextBytes = 1024;

absl::Status Expected(std::string_view what, std::string_view got) {
  return absl::InvalidArgumentError(
      absl::StrCat("expected ", ToAbsl(what), ", got \"", ToAbsl(got.substr(0, 100)), "\""));
}

absl::Status SetText(std::string_view text, std::string& to) {
  if (text.empty() || text.size() > kMaxTextBytes || std::ranges::any_of(text, [](unsigned char c) {
        return absl::ascii_isspace(c) || absl::ascii_iscntrl(c);
      })) {
    return Expected("a text without blanks", text);
  }
  to = text;
  return absl::OkStatus();
}

absl::Status SetControlPlane(std::string_view text, std::string& to) {
  const size_t colon = text.rfind(':');
  if (colon == 0 || colon == std::string_view::npos ||
      !ParsePort("", text.substr(colon + 1)).ok()) {
    return Expected("HOST:PORT", text);
  }
  return SetText(text, to);
}

absl::Status SetUid(std::string_view text, uint32_t& to) {
  // Root may not run the sidecar, and the largest number means nobody.
  if (!absl::SimpleAtoi(ToAbsl(text), &to) || to == 0 || to >= 0x7fffffff) {
    return Expected("a user id from 1 to 2147483646", text);
  }
  return absl::OkStatus();
}

// Reads the members of one mapping; collects the first error.
class Reader {
 public:
  Reader(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json_.is_object()) {
      Fail("", absl::StrCat("expected a mapping, got ", json_.type_name()));
    }
  }

  using Setter = std::function<absl::Status(std::string_view)>;

  // A scalar; numbers and booleans are taken as their text.
  void Scalar(std::string_view key, const Setter& set) {
    const Json* value = Take(key);
    if (value == nullptr) return;
    if (!value->is_primitive()) return Fail(key, "expected one value");
    const std::string text = value->is_string() ? value->get<std::string>() : Dump(*value);
    if (absl::Status status = set(text); !status.ok()) Fail(key, status.message());
  }

  void Bool(std::string_view key, bool& to) {
    const Json* value = Take(key);
    if (value == nullptr) return;
    if (!value->is_boolean()) return Fail(key, "expected true or false");
    to = value->get<bool>();
  }

  // Names, written as such or as {name: ...}.
  void Names(std::string_view key, std::vector<std::string>& to) {
    const Json* value = Take(key);
    if (value == nullptr) return;
    if (!value->is_array() || value->size() > kMaxListItems) {
      return Fail(key, absl::StrCat("expected a list of at most ", kMaxListItems, " names"));
    }
    to.clear();
    for (size_t i = 0; i < value->size(); ++i) {
      const Json& item = (*value)[i];
      const std::string name = item.is_string() ? item.get<std::string>() : StringAt(item, "name");
      if (absl::Status status = SetText(name, to.emplace_back()); !status.ok()) {
        return Fail(absl::StrCat(ToAbsl(key), "[", i, "]"), status.message());
      }
    }
  }

  void Group(std::string_view key, const std::function<absl::Status(const Json&, std::string)>& f) {
    const Json* value = Take(key);
    if (value == nullptr || !status_.ok()) return;
    status_ = f(*value, absl::StrCat(path_, ToAbsl(key), "."));
  }

  // The first mistake, or a member that nobody asked for.
  absl::Status Finish() {
    if (!status_.ok() || !json_.is_object()) return status_;
    for (const auto& [key, value] : json_.items()) {
      if (std::ranges::find(known_, key) != known_.end()) continue;
      Fail(key, absl::StrCat("there is no such setting; there are ", absl::StrJoin(known_, ", ")));
      break;
    }
    return status_;
  }

 private:
  const Json* Take(std::string_view key) {
    known_.emplace_back(key);
    return Find(json_, key);
  }

  void Fail(std::string_view key, absl::string_view message) {
    if (!status_.ok()) return;
    std::string field = absl::StrCat(path_, ToAbsl(key));
    if (field.ends_with('.')) field.pop_back();
    status_ = absl::InvalidArgumentError(field.empty() ? std::string(message)
                                                       : absl::StrCat(field, ": ", message));
  }

  const Json& json_;
  const std::string path_;
  std::vector<std::string> known_;
  absl::Status status_;
};

absl::Status ReadAmounts(const Json& json, std::string path, std::string& cpu,
                         std::string& memory) {
  Reader reader(json, std::move(path));
  reader.Scalar("cpu", [&](std::string_view text) { return SetQuantity(text, cpu); });
  reader.Scalar("memory", [&](std::string_view text) { return SetQuantity(text, memory); });
  return reader.Finish();
}

absl::Status ReadResources(const Json& json, const std::string& path, Resources& resources) {
  Reader reader(json, path);
  reader.Group("requests", [&](const Json& group, std::string at) {
    return ReadAmounts(group, std::move(at), resources.cpu_request, resources.memory_request);
  });
  reader.Group("limits", [&](const Json& group, std::string at) {
    return ReadAmounts(group, std::move(at), resources.cpu_limit, resources.memory_limit);
  });
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  absl::Status checked = CheckResources(resources);
  if (checked.ok()) return checked;
  return absl::InvalidArgumentError(
      absl::StrCat(path.substr(0, path.size() - 1), ": ", checked.message()));
}

}  // namespace

Json Resources::ToJson() const {
  Json json = Json::object();
  const std::pair<const char*, std::pair<const std::string*, const std::string*>> groups[] = {
      {"requests", {&cpu_request, &memory_request}}, {"limits", {&cpu_limit, &memory_limit}}};
  for (const auto& [group, amounts] : groups) {
    if (!amounts.first->empty()) json[group]["cpu"] = *amounts.first;
    if (!amounts.second->empty()) json[group]["memory"] = *amounts.second;
  }
  return json;
}

absl::Status SetQuantity(std::string_view text, std::string& to) {
  // An empty one takes the default away: no request, no limit.
  if (!text.empty() && !ParseQuantity(text)) {
    return Expected("a quantity such as 100m or 64Mi", text);
  }
  to = text;
  return absl::OkStatus();
}

absl::Status SetBool(std::string_view text, bool& to) {
  if (text != "true" && text != "false") return Expected("true or false", text);
  to = text == "true";
  return absl::OkStatus();
}

absl::Status SetDuration(std::string_view text, absl::Duration& to) {
  absl::Duration parsed;
  if (!absl::ParseDuration(ToAbsl(text), &parsed) || parsed < absl::ZeroDuration() ||
      parsed > absl::Hours(24)) {
    return Expected("a duration from 0s to 24h", text);
  }
  to = parsed;
  return absl::OkStatus();
}

absl::Status SetWorkers(std::string_view text, int& to) {
  int workers = 0;
  if (!absl::SimpleAtoi(ToAbsl(text), &workers) || workers < 0 || workers > 64) {
    return Expected("a number of threads from 1 to 64, or 0 for the default", text);
  }
  to = workers;
  return absl::OkStatus();
}

absl::Status SetWord(std::string_view text, std::initializer_list<std::string_view> words,
                     std::string& to) {
  if (std::ranges::find(words, text) == words.end()) {
    return Expected(absl::StrCat("one of ", absl::StrJoin(words, ", ",
                                                          [](std::string* out, std::string_view w) {
                                                            absl::StrAppend(out, ToAbsl(w));
                                                          })),
                    text);
  }
  to = text;
  return absl::OkStatus();
}

absl::Status SetPorts(std::string_view text, std::string& to) {
  if (!ParsePorts("", text).ok()) return Expected("ports such as 25,8000-8100", text);
  to = text;
  return absl::OkStatus();
}

absl::Status SetNetworks(std::string_view text, std::string& to) {
  if (!ParseNetworks("", text).ok()) return Expected("networks such as 10.0.0.0/8,fd00::/8", text);
  to = text;
  return absl::OkStatus();
}

absl::Status CheckResources(const Resources& resources) {
  const std::tuple<const char*, const std::string*, const std::string*> pairs[] = {
      {"cpu", &resources.cpu_request, &resources.cpu_limit},
      {"memory", &resources.memory_request, &resources.memory_limit}};
  for (const auto& [what, request, limit] : pairs) {
    if (request->empty() || limit->empty()) continue;
    if (ParseQuantity(*request).value_or(0) <= ParseQuantity(*limit).value_or(0)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the ", what, " request ", *request, " is above the limit ", *limit));
  }
  return absl::OkStatus();
}

absl::StatusOr<Settings> ParseSettings(std::string_view text) {
  absl::StatusOr<std::vector<Json>> documents = ParseYaml(text);
  if (!documents.ok()) return documents.status();
  if (documents->size() > 1) {
    return absl::InvalidArgumentError("expected one document, got several");
  }
  Settings settings;
  if (documents->empty() || documents->front().is_null()) return settings;

  Reader reader(documents->front(), "");
  const auto text_setting = [&](std::string_view key, std::string& to) {
    reader.Scalar(key, [&to](std::string_view value) { return SetText(value, to); });
  };
  const auto word = [&](std::string_view key, std::initializer_list<std::string_view> words,
                        std::string& to) {
    reader.Scalar(key, [words, &to](std::string_view value) { return SetWord(value, words, to); });
  };
  text_setting("image", settings.image);
  word("imagePullPolicy", kPullPolicies, settings.image_pull_policy);
  reader.Names("imagePullSecrets", settings.image_pull_secrets);
  reader.Group("resources", [&](const Json& group, const std::string& at) {
    return ReadResources(group, at, settings.sidecar_resources);
  });
  reader.Group("initResources", [&](const Json& group, const std::string& at) {
    return ReadResources(group, at, settings.init_resources);
  });
  reader.Bool("nativeSidecar", settings.native_sidecar);
  reader.Scalar("controlPlane", [&](std::string_view value) {
    return SetControlPlane(value, settings.control_plane);
  });
  text_setting("trustDomain", settings.trust_domain);
  text_setting("namespace", settings.name_space);
  reader.Names("excludedNamespaces", settings.excluded_namespaces);
  reader.Scalar("uid", [&](std::string_view value) { return SetUid(value, settings.uid); });
  word("logLevel", kLogLevels, settings.log_level);
  reader.Scalar("workers",
                [&](std::string_view value) { return SetWorkers(value, settings.workers); });
  reader.Scalar("drainDelay",
                [&](std::string_view value) { return SetDuration(value, settings.drain_delay); });
  reader.Scalar("drainTimeout",
                [&](std::string_view value) { return SetDuration(value, settings.drain_timeout); });
  reader.Bool("rewriteProbes", settings.rewrite_probes);
  word("mtlsMode", {"off", "permissive", "strict"}, settings.mtls_mode);
  reader.Scalar("ignoreIncomingPorts", [&](std::string_view value) {
    return SetPorts(value, settings.ignore_incoming_ports);
  });
  reader.Scalar("ignoreOutgoingPorts", [&](std::string_view value) {
    return SetPorts(value, settings.ignore_outgoing_ports);
  });
  reader.Scalar("ignoreOutgoingCIDRs", [&](std::string_view value) {
    return SetNetworks(value, settings.ignore_outgoing_cidrs);
  });
  word("ipv6", {"auto", "on", "off"}, settings.ipv6);
  word("iptables", {"auto", "nft", "legacy"}, settings.iptables);
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  return settings;
}

}  // namespace weft::inject
