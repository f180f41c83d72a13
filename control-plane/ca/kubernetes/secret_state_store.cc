#include "control-plane/ca/kubernetes/secret_state_store.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control-plane/ca/operator_token.h"

namespace weft::ca {

absl::StatusOr<StateStore::Versioned> SecretStateStore::Read() {
  absl::StatusOr<DataObject> secret = objects_.Get(name_);
  if (!secret.ok()) return secret.status();
  // A Secret without the entry is somebody's mistake, not an invitation to make another root.
  const auto found = secret->data.find(key_);
  return Versioned{found == secret->data.end() ? "" : std::move(found->second),
                   std::move(secret->resource_version)};
}

absl::Status SecretStateStore::Create(std::string_view content) {
  return objects_.Create(name_, {{key_, std::string(content)}});
}

absl::Status SecretStateStore::Replace(std::string_view content, std::string_view version) {
  return objects_.Merge(name_, {{key_, std::string(content)}}, version);
}

absl::StatusOr<std::string> ReadOrCreateOperatorSecret(const DataObjects& objects,
                                                       std::string_view name_space) {
  SecretStateStore store(objects, name_space, kOperatorSecret, kOperatorKey);
  absl::StatusOr<StateStore::Versioned> stored = store.Read();
  if (absl::IsNotFound(stored.status())) {
    const absl::Status created = store.Create(NewOperatorToken());
    // Another replica may have been first; its token counts then.
    if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
    stored = store.Read();
  }
  if (!stored.ok()) return stored.status();
  absl::StripAsciiWhitespace(&stored->content);
  if (!IsOperatorToken(stored->content)) {
    return absl::FailedPreconditionError(absl::StrCat(
        store.Name(), " holds no token of at least ", kMinOperatorTokenBytes,
        " characters under \"token\": restore it, or delete the Secret to get a new one"));
  }
  return std::move(stored->content);
}

}  // namespace weft::ca
