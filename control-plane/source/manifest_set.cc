#include "control-plane/source/manifest_set.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::source {

using weft::v1::Finding;

void ManifestSet::Put(const std::string& path, Manifest manifest) {
  const auto entry = files_.try_emplace(path).first;
  File& file = entry->second;
  file.errors = std::move(manifest.errors);
  if (!file.errors.empty() && file.was_right) return;
  Withdraw(entry->first, file);
  file.objects = std::move(manifest.objects);
  Offer(entry->first, file);
  file.warnings = std::move(manifest.warnings);
  file.was_right = file.errors.empty();
}

void ManifestSet::Withdraw(const std::string& path, const File& file) {
  for (const store::Update& object : file.objects) {
    touched_.insert(object.key);
    const auto places = places_.find(object.key);
    if (places == places_.end()) continue;  // it was in the file twice
    std::erase_if(places->second, [&](const Place& place) { return place.path == &path; });
    if (places->second.size() < 2) contested_.erase(object.key);
    if (places->second.empty()) places_.erase(places);
  }
}

void ManifestSet::Offer(const std::string& path, const File& file) {
  for (size_t i = 0; i < file.objects.size(); ++i) {
    const store::ObjectKey& key = file.objects[i].key;
    touched_.insert(key);
    std::vector<Place>& places = places_[key];
    const Place place{&path, i};
    places.insert(std::ranges::upper_bound(places, place, std::less<>()), place);
    if (places.size() > 1) contested_.insert(key);
  }
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

void ManifestSet::Remove(const std::string& path) {
  const auto file = files_.find(path);
  if (file == files_.end()) return;
  Withdraw(file->first, file->second);
  files_.erase(file);
}

std::vector<store::Update> ManifestSet::TakeUpdates() {
  std::vector<store::Update> gone, here;
  for (const store::ObjectKey& key : touched_) {
    const auto places = places_.find(key);
    if (places == places_.end()) {
      if (current_.erase(key) > 0) gone.push_back({key, nullptr});
      continue;
    }
    const Place& first = places->second.front();
    const store::ObjectPtr& object = files_.at(*first.path).objects[first.index].object;
    store::ObjectPtr& current = current_[key];
    if (current == object) continue;
    current = object;
    here.push_back({key, object});
  }
  touched_.clear();
  gone.insert(gone.end(), here.begin(), here.end());
  return gone;
}

std::vector<Finding> ManifestSet::Findings() const {
  std::vector<Finding> findings;
  for (const auto& [path, file] : files_) {
    findings.insert(findings.end(), file.errors.begin(), file.errors.end());
    findings.insert(findings.end(), file.warnings.begin(), file.warnings.end());
  }
  std::map<Place, Finding> duplicates;  // in the order of their places
  for (const store::ObjectKey& key : contested_) {
    const std::vector<Place>& places = places_.at(key);
    for (size_t i = 1; i < places.size(); ++i) {
      Finding& finding = duplicates[places[i]];
      finding.set_severity(Finding::ERROR);
      finding.set_object(*places[i].path);
      finding.set_field("metadata.name");
      finding.set_reason("ObjectDuplicate");
      finding.set_message(absl::StrCat(key.ToString(), " is in ", *places.front().path,
                                       " too, which comes first; here it has no effect"));
      finding.set_remedy("keep the object in one file");
    }
  }
  for (auto& [place, finding] : duplicates) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace weft::source
