#include "control-plane/source/kubernetes_objects.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "control-plane/source/kubernetes_event.h"
#include "control-plane/source/prune.h"

namespace weft::source {
namespace {

using weft::v1::Finding;

Finding Complaint(Finding::Severity severity, const std::string& object, const FieldError& error) {
  const bool is_error = severity == Finding::ERROR;
  Finding finding;
  finding.set_severity(severity);
  finding.set_object(object);
  finding.set_field(error.field);
  finding.set_message(error.message);
  finding.set_reason(is_error ? "ObjectInvalid" : "FieldUnknown");
  finding.set_remedy(is_error ? "correct the object; until then what it said before stays in force"
                              : "check the spelling of the field and its place");
  return finding;
}

}  // namespace

KubernetesObjects::KubernetesObjects(store::Kind kind, Sink sink)
    : kind_(kind), sink_(std::move(sink)) {}

void KubernetesObjects::BeginList() { listed_.clear(); }

bool KubernetesObjects::Listed(std::string_view object, std::string_view api_version) {
  listed_.push_back(Read(object, api_version));
  return listed_.back().object != nullptr;
}

void KubernetesObjects::EndList() {
  std::set<Name> present;
  Complaints complaints;
  std::vector<store::Update> updates;
  for (Reading& reading : listed_) {
    present.insert(reading.name);
    if (!reading.complaints.empty()) complaints[reading.name] = std::move(reading.complaints);
  }
  // What is gone first: a new pod may have the address of an old one.
  for (auto it = known_.begin(); it != known_.end();) {
    if (present.contains(*it)) {
      ++it;
      continue;
    }
    updates.push_back(UpdateOf(*it, nullptr));
    it = known_.erase(it);
  }
  for (Reading& reading : listed_) {
    if (reading.object == nullptr) continue;
    known_.insert(reading.name);
    updates.push_back(UpdateOf(reading.name, std::move(reading.object)));
  }
  listed_ = {};
  {
    absl::MutexLock lock(&mutex_);
    complaints_ = std::move(complaints);
  }
  if (!updates.empty()) sink_(std::move(updates));
}

bool KubernetesObjects::Changed(std::string_view object, std::string_view api_version) {
  Reading reading = Read(object, api_version);
  {
    absl::MutexLock lock(&mutex_);
    if (reading.complaints.empty()) {
      complaints_.erase(reading.name);
    } else {
      complaints_[reading.name] = std::move(reading.complaints);
    }
  }
  if (reading.object == nullptr) return false;
  known_.insert(reading.name);
  sink_({UpdateOf(reading.name, std::move(reading.object))});
  return true;
}

void KubernetesObjects::Deleted(std::string_view object) {
  const Name name = NameIn(object);
  {
    absl::MutexLock lock(&mutex_);
    complaints_.erase(name);
  }
  if (known_.erase(name) > 0) sink_({UpdateOf(name, nullptr)});
}

void KubernetesObjects::Clear() {
  BeginList();
  EndList();
}

std::vector<Finding> KubernetesObjects::Findings() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Finding> findings;
  for (const auto& [name, complaints] : complaints_) {
    findings.insert(findings.end(), complaints.begin(), complaints.end());
  }
  return findings;
}

KubernetesObjects::Reading KubernetesObjects::Read(std::string_view json,
                                                   std::string_view api_version) const {
  Reading reading{.name = NameIn(json), .object = nullptr, .complaints = {}};
  const std::string name = UpdateOf(reading.name, nullptr).key.ToString();
  absl::StatusOr<std::string> pruned = PruneObject(json, kind_);
  if (!pruned.ok()) {
    reading.complaints.push_back(
        Complaint(Finding::ERROR, name, {"", std::string(pruned.status().message())}));
  } else {
    ParsedObject parsed = ParseObjectJson(*pruned, api_version, store::KindName(kind_));
    if (parsed.update.has_value()) {
      reading.name = {parsed.update->key.name_space, parsed.update->key.name};
      reading.object = std::move(parsed.update->object);
    }
    for (const FieldError& error : parsed.errors) {
      reading.complaints.push_back(Complaint(Finding::ERROR, name, error));
    }
    for (const FieldError& warning : parsed.warnings) {
      reading.complaints.push_back(Complaint(Finding::WARNING, name, warning));
    }
  }
  if (reading.object == nullptr) {
    for (const Finding& complaint : reading.complaints) {
      WEFT_LOG_ERROR("{}: {} {}; what it said before stays in force", name, complaint.field(),
                     complaint.message());
    }
  }
  return reading;
}

KubernetesObjects::Name KubernetesObjects::NameIn(std::string_view json) const {
  const ObjectName name = NameOf(json);
  return {store::IsNamespaced(kind_) ? std::string(name.name_space) : "", std::string(name.name)};
}

store::Update KubernetesObjects::UpdateOf(const Name& name, store::ObjectPtr object) const {
  return {.key = {.kind = kind_, .name_space = name.first, .name = name.second},
          .object = std::move(object)};
}

}  // namespace weft::source
