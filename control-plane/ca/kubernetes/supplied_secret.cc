#include "control-plane/ca/kubernetes/supplied_secret.h"

#include <memory>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::ca {

absl::StatusOr<std::unique_ptr<SuppliedSecret>> SuppliedSecret::Create(DataObjects objects,
                                                                       std::string_view name_space,
                                                                       std::string_view reference) {
  const size_t slash = reference.find('/');
  std::string name(reference);
  std::string within(name_space);
  if (slash != std::string_view::npos) {
    within = reference.substr(0, slash);
    name = reference.substr(slash + 1);
  }
  if (name.empty() || within.empty() || name.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the CA's Secret \"", ToAbsl(reference), "\" is not [NAMESPACE/]NAME"));
  }
  return absl::WrapUnique(
      new SuppliedSecret(std::move(objects), {DataObjectName::Kind::kSecret, within, name}));
}

absl::StatusOr<SuppliedPem> SuppliedSecret::Read() {
  absl::StatusOr<DataObject> secret = objects_.Get(name_);
  if (!secret.ok()) return secret.status();
  SuppliedPem pem;
  for (const auto& [key, part] : {std::pair{"tls.crt", &pem.chain}, std::pair{"tls.key", &pem.key},
                                  std::pair{"ca.crt", &pem.roots}}) {
    const auto found = secret->data.find(key);
    if (found == secret->data.end() || found->second.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("it has no ", key,
                       "; expected is a Secret of type kubernetes.io/tls with tls.crt (the "
                       "intermediate and its chain), tls.key and ca.crt (the root)"));
    }
    *part = found->second;
  }
  return pem;
}

}  // namespace weft::ca
