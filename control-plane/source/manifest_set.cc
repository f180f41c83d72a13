#include "control-plane/source/manifest_set.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::source {

using weft::v1::Finding;

void ManifestSet::Put(const std::string& path, Manifest manifest) {
  File& file = files_[path];
  file.errors = std::move(manifest.errors);
  if (!file.errors.empty() && file.was_right) return;
  file.objects = std::move(manifest.objects);
  file.warnings = std::move(manifest.warnings);
  file.was_right = file.errors.empty();
}

void ManifestSet::PutUnreadable(const std::string& path, std::string error) {
  Finding finding;
  finding.set_severity(Finding::ERROR);
  finding.set_object(path);
  finding.set_reason("FileUnreadable");
  finding.set_message(std::move(error));
  finding.set_remedy("make the file readable; until then what it said before stays in force");
  files_[path].errors = {std::move(finding)};
}

void ManifestSet::Remove(const std::string& path) { files_.erase(path); }

std::vector<store::Update> ManifestSet::TakeUpdates() {
  absl::btree_map<store::ObjectKey, store::ObjectPtr> wanted;
  absl::btree_map<store::ObjectKey, const std::string*> owners;
  duplicates_.clear();
  for (const auto& [path, file] : files_) {
    for (const store::Update& object : file.objects) {
      auto [owner, added] = owners.try_emplace(object.key, &path);
      if (added) {
        wanted.emplace(object.key, object.object);
        continue;
      }
      Finding& finding = duplicates_.emplace_back();
      finding.set_severity(Finding::ERROR);
      finding.set_object(path);
      finding.set_field("metadata.name");
      finding.set_reason("ObjectDuplicate");
      finding.set_message(absl::StrCat(object.key.ToString(), " is in ", *owner->second,
                                       " too, which comes first; here it has no effect"));
      finding.set_remedy("keep the object in one file");
    }
  }
  std::vector<store::Update> updates;
  for (const auto& [key, object] : current_) {
    if (!wanted.contains(key)) updates.push_back({key, nullptr});
  }
  for (const auto& [key, object] : wanted) {
    auto it = current_.find(key);
    if (it == current_.end() || it->second != object) updates.push_back({key, object});
  }
  current_ = std::move(wanted);
  return updates;
}

std::vector<Finding> ManifestSet::Findings() const {
  std::vector<Finding> findings;
  for (const auto& [path, file] : files_) {
    findings.insert(findings.end(), file.errors.begin(), file.errors.end());
    findings.insert(findings.end(), file.warnings.begin(), file.warnings.end());
  }
  findings.insert(findings.end(), duplicates_.begin(), duplicates_.end());
  return findings;
}

}  // namespace weft::source
