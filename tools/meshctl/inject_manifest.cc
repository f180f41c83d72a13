#include "tools/meshctl/inject_manifest.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "injector/patch/yaml.h"

namespace weft::meshctl {
namespace {

using inject::ArrayAt;
using inject::Find;
using inject::FindPath;
using inject::Json;
using inject::NamespaceFacts;
using inject::StringAt;

constexpr size_t kMaxBytes = 64 << 20;

struct Workload {
  std::string_view group;  // empty: core
  std::string_view kind;
  const char* pod;  // where the pod is, as a JSON Pointer; empty: the object is one
};
constexpr Workload kWorkloads[] = {
    {"", "Pod", ""},
    {"", "ReplicationController", "/spec/template"},
    {"apps", "Deployment", "/spec/template"},
    {"apps", "DaemonSet", "/spec/template"},
    {"apps", "StatefulSet", "/spec/template"},
    {"apps", "ReplicaSet", "/spec/template"},
    {"batch", "Job", "/spec/template"},
    {"batch", "CronJob", "/spec/jobTemplate/spec/template"},
};

const Workload* FindWorkload(const Json& object) {
  const std::string version = StringAt(object, "apiVersion");
  const size_t slash = version.find('/');
  const std::string group = slash == std::string::npos ? "" : version.substr(0, slash);
  const std::string kind = StringAt(object, "kind");
  for (const Workload& workload : kWorkloads) {
    if (workload.group == group && workload.kind == kind) return &workload;
  }
  return nullptr;
}

bool IsList(const Json& object) {
  return absl::EndsWith(StringAt(object, "kind"), "List") && Find(object, "items") != nullptr;
}

// One document of a stream: the line that opens it ("---", empty for the first), then its text.
struct Document {
  std::string_view separator;
  std::string_view body;
};

// Splits where kubectl does: at lines that begin with "---" and have nothing more but blanks or a
// comment.
std::vector<Document> Split(std::string_view text) {
  std::vector<Document> documents(1);
  size_t body = 0;
  for (size_t line = 0; line < text.size();) {
    const size_t end = std::min(text.find('\n', line), text.size() - 1) + 1;
    const std::string_view content = text.substr(line, end - line);
    const size_t rest = content.find_first_not_of(" \t\r\n", 3);
    if (content.starts_with("---") &&
        (rest == std::string_view::npos || (rest > 3 && content[rest] == '#'))) {
      documents.back().body = text.substr(body, line - body);
      documents.push_back({.separator = content, .body = {}});
      body = end;
    }
    line = end;
  }
  documents.back().body = text.substr(body);
  return documents;
}

class Injector {
 public:
  Injector(const std::string& default_namespace, const inject::Settings& settings)
      : default_namespace_(default_namespace.empty() ? "default" : default_namespace),
        settings_(settings) {}

  // Takes note of the namespaces in it.
  void LookForNamespaces(const Json& object) {
    if (IsList(object)) {
      for (const Json& item : ArrayAt(object, "items")) LookForNamespaces(item);
    } else if (StringAt(object, "kind") == "Namespace" && StringAt(object, "apiVersion") == "v1") {
      NamespaceFacts facts;
      facts.name = NameOf(object);
      facts.annotations = inject::StringMap(FindPath(object, {"metadata", "annotations"}));
      facts.labels = inject::StringMap(FindPath(object, {"metadata", "labels"}));
      namespaces_[facts.name] = std::move(facts);
    }
  }

  // Injects the workloads in it; whether any has changed.
  bool Inject(Json& object) {
    if (IsList(object)) {
      bool changed = false;
      if (Json& items = object["items"]; items.is_array()) {
        for (Json& item : items) changed |= Inject(item);
      }
      return changed;
    }
    const Workload* workload = FindWorkload(object);
    return workload != nullptr && InjectWorkload(object, *workload);
  }

  std::vector<InjectedObject> TakeObjects() { return std::move(objects_); }

 private:
  static std::string NameOf(const Json& object) {
    const Json* metadata = Find(object, "metadata");
    if (metadata == nullptr) return "*";
    const std::string name = StringAt(*metadata, "name");
    return name.empty() ? absl::StrCat(StringAt(*metadata, "generateName"), "*") : name;
  }

  NamespaceFacts NamespaceOf(const Json& object) const {
    const Json* metadata = Find(object, "metadata");
    std::string name = metadata == nullptr ? "" : StringAt(*metadata, "namespace");
    if (name.empty()) name = default_namespace_;
    NamespaceFacts facts{.name = name, .annotations = {}, .labels = {}};
    if (const auto known = namespaces_.find(name); known != namespaces_.end()) {
      facts = known->second;
    }
    std::vector<std::string> ignored;
    if (inject::WishOf(facts.annotations, facts.labels, name, ignored).word ==
        inject::Wish::Word::kNone) {
      facts.annotations["weft.io/inject"] = "enabled";
    }
    return facts;
  }

  bool InjectWorkload(Json& object, const Workload& workload) {
    const NamespaceFacts name_space = NamespaceOf(object);
    const Json::json_pointer at(workload.pod);
    static const Json nothing;
    const Json& pod = object.contains(at) ? object.at(at) : nothing;
    inject::Injection injection = inject::Inject(pod, name_space, settings_);
    InjectedObject& outcome = objects_.emplace_back();
    outcome.name = absl::StrCat(ToAbsl(workload.kind), " ", name_space.name, "/", NameOf(object));
    outcome.decision = std::move(injection.decision);
    if (outcome.decision.verdict != inject::Verdict::kInject) {
      if (outcome.decision.verdict == inject::Verdict::kRefuse && *workload.pod != '\0') {
        std::string place(workload.pod + 1);
        for (char& c : place) c = c == '/' ? '.' : c;
        outcome.decision.field = absl::StrCat(place, ".", outcome.decision.field);
      }
      return false;
    }
    object.at(at) = pod.patch(injection.patch);
    return true;
  }

  const std::string default_namespace_;
  const inject::Settings& settings_;
  std::map<std::string, NamespaceFacts> namespaces_;
  std::vector<InjectedObject> objects_;
};

// As the text was written: with line breaks and their indent, or without.
std::string EmitJson(const Json& json, std::string_view as) {
  int indent = -1;
  if (const size_t line = as.find('\n'); line != std::string_view::npos) {
    const size_t key = as.find_first_not_of(" \t\r\n", line);
    if (key != std::string_view::npos && as[key] == '"') {
      indent = static_cast<int>(std::min<size_t>(key - as.rfind('\n', key) - 1, 8));
    }
  }
  return absl::StrCat(json.dump(indent, ' ', false, Json::error_handler_t::replace),
                      as.ends_with('\n') ? "\n" : "");
}

absl::Status InDocument(size_t number, const absl::Status& status) {
  absl::string_view message = status.message();
  absl::ConsumePrefix(&message, "document 1: ");
  return absl::InvalidArgumentError(absl::StrCat("document ", number, ": ", message));
}

}  // namespace

absl::StatusOr<InjectedManifest> InjectManifest(std::string_view text,
                                                const std::string& default_namespace,
                                                const inject::Settings& settings) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("it is larger than ", kMaxBytes, " bytes"));
  }
  Injector injector(default_namespace, settings);
  InjectedManifest manifest;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    if (absl::StatusOr<Json> json = inject::ParseJson(text); json.ok()) {
      injector.LookForNamespaces(*json);
      manifest.text = injector.Inject(*json) ? EmitJson(*json, text) : std::string(text);
      manifest.objects = injector.TakeObjects();
      return manifest;
    }
  }
  std::vector<Document> documents = Split(text);
  std::vector<Json> parsed;
  for (size_t i = 0; i < documents.size(); ++i) {
    absl::StatusOr<std::vector<Json>> values = inject::ParseYaml(documents[i].body);
    // What stands before the first "---" is no document unless there is something in it.
    const size_t number = documents[0].body.empty() && i > 0 ? i : i + 1;
    if (!values.ok()) return InDocument(number, values.status());
    if (values->size() > 1) {
      return InDocument(number, absl::InvalidArgumentError("\"---\" must stand on its own line"));
    }
    parsed.push_back(values->empty() ? Json() : std::move(values->front()));
    injector.LookForNamespaces(parsed.back());
  }
  for (size_t i = 0; i < documents.size(); ++i) {
    absl::StrAppend(&manifest.text, ToAbsl(documents[i].separator));
    if (injector.Inject(parsed[i])) {
      absl::StrAppend(&manifest.text, inject::EmitYaml(parsed[i]));
    } else {
      absl::StrAppend(&manifest.text, ToAbsl(documents[i].body));
    }
  }
  manifest.objects = injector.TakeObjects();
  return manifest;
}

}  // namespace weft::meshctl
