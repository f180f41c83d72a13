#include "control-plane/ca/state_store.h"

#include "absl/strings/str_cat.h"
#include "control-plane/ca/secret.h"

namespace weft::ca {

absl::StatusOr<StateStore::Versioned> FileStateStore::Read() {
  absl::StatusOr<std::string> content = state_.ReadSecret(file_, max_bytes_);
  if (!content.ok()) return content.status();
  std::string version = HashSecret(*content);
  return Versioned{*std::move(content), std::move(version)};
}

absl::Status FileStateStore::Create(std::string_view content) {
  return state_.Create(file_, content, 0600);
}

absl::Status FileStateStore::Replace(std::string_view content, std::string_view version) {
  absl::StatusOr<FileLock> lock = FileLock::Acquire(absl::StrCat(state_.PathOf(file_), ".lock"));
  if (!lock.ok()) return lock.status();
  absl::StatusOr<Versioned> current = Read();
  if (!current.ok()) return current.status();
  if (current->version != version) {
    return absl::AbortedError(absl::StrCat(Name(), " was changed by another process"));
  }
  return state_.Write(file_, content, 0600);
}

}  // namespace weft::ca
