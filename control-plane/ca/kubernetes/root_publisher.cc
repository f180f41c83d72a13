#include "control-plane/ca/kubernetes/root_publisher.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/strings.h"

namespace weft::ca {
namespace {

constexpr size_t kMaxNamedNamespaces = 5;
constexpr size_t kMaxWritesPerRound = 50;  // the rest has its turn a second later

DataObjectName NameIn(const std::string& name_space) {
  return {DataObjectName::Kind::kConfigMap, name_space, std::string(kRootConfigMap)};
}

// Nothing can be made in a namespace that is not there, or that is being deleted.
bool IsGone(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::StrContains(status.message(), "being terminated");
}

}  // namespace

absl::Status RootPublisher::Look() {
  absl::StatusOr<std::vector<DataObject>> found =
      objects_.ListNamed(DataObjectName::Kind::kConfigMap, kRootConfigMap);
  if (!found.ok()) return found.status();
  for (auto& [name_space, state] : states_) state.roots_pem.clear();
  for (DataObject& object : *found) {
    const auto roots = object.data.find(std::string(kRootKey));
    const auto state = states_.find(object.name_space);
    if (roots == object.data.end() || state == states_.end()) continue;
    state->second.roots_pem = std::move(roots->second);
  }
  return absl::OkStatus();
}

absl::Status RootPublisher::Write(const std::string& name_space,
                                  const std::string& roots_pem) const {
  const DataObjectName name = NameIn(name_space);
  absl::Status written =
      objects_.Merge(name, {{std::string(kRootKey), std::optional<std::string>(roots_pem)}});
  if (!absl::IsNotFound(written)) return written;
  written = objects_.Create(name, {{std::string(kRootKey), roots_pem}});
  // Made by somebody in between: the next round looks at it.
  return absl::IsAlreadyExists(written)
             ? objects_.Merge(name,
                              {{std::string(kRootKey), std::optional<std::string>(roots_pem)}})
             : written;
}

void RootPublisher::Round(const std::string& roots_pem, absl::Time now) {
  std::vector<std::string> wanted = namespaces_();
  std::ranges::sort(wanted);
  absl::MutexLock lock(&mu_);
  std::erase_if(
      states_, [&](const auto& entry) { return !std::ranges::binary_search(wanted, entry.first); });
  for (const std::string& name_space : wanted) states_.try_emplace(name_space);
  if (now - looked_ >= options_.look_again) {
    looked_ = now;
    const absl::Status looked = Look();
    // Without it, what it has written itself counts as there.
    if (!looked.ok() && !looking_failed_) {
      WEFT_LOG_WARN("ConfigMaps weft-root are not watched over: {}", looked.ToString());
    }
    looking_failed_ = !looked.ok();
  }
  size_t writes = 0;
  for (auto& [name_space, state] : states_) {
    if (state.roots_pem == roots_pem || now < state.retry) continue;
    if (++writes > kMaxWritesPerRound) break;
    const absl::Status written = Write(name_space, roots_pem);
    if (written.ok()) {
      state = {.roots_pem = roots_pem, .refusal = {}};
      continue;
    }
    state.gone = IsGone(written);
    state.wait = std::clamp(state.wait * 2, options_.retry_min, options_.retry_max);
    state.retry = now + state.wait;
    if (state.refusal != ToStd(written.message()) && !state.gone) {
      WEFT_LOG_WARN("the mesh's roots are not published in namespace {}: {}", name_space,
                    written.ToString());
    }
    state.refusal = std::string(written.message());
    if (absl::IsUnavailable(written) || absl::IsCancelled(written)) break;  // as all others would
  }
}

std::string RootPublisher::Missing(const std::string& roots_pem) const {
  absl::MutexLock lock(&mu_);
  if (looked_ == absl::InfinitePast()) return "ConfigMaps weft-root to be looked at";
  std::vector<std::string> missing;
  size_t count = 0;
  for (const auto& [name_space, state] : states_) {
    if (state.roots_pem == roots_pem || state.gone) continue;
    ++count;
    if (missing.size() < kMaxNamedNamespaces) missing.push_back(name_space);
  }
  if (count == 0) return "";
  return absl::StrCat("ConfigMap weft-root in ", count,
                      count == 1 ? " namespace: " : " namespaces: ", absl::StrJoin(missing, ", "));
}

void RootPublisher::Forget() {
  absl::MutexLock lock(&mu_);
  states_.clear();
  looked_ = absl::InfinitePast();
}

}  // namespace weft::ca
