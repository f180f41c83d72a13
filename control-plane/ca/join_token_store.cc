#include "control-plane/ca/join_token_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/spiffe_id.h"
#include "base/strings.h"
#include "control-plane/ca/secret.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

namespace weft::ca {
namespace {

using ::google::protobuf::util::TimeUtil;

constexpr std::string_view kFile = "join-tokens.json";
constexpr std::string_view kLockFile = "join-tokens.lock";
constexpr std::string_view kPrefix = "weft-join-";
constexpr size_t kMaxFileBytes = 8 * 1024 * 1024;
constexpr int kMaxTokens = 10'000;
constexpr absl::Duration kMaxLifetime = absl::Hours(24 * 366);

absl::Time Expiry(const JoinToken& token) {
  return absl::FromUnixNanos(TimeUtil::TimestampToNanoseconds(token.expires()));
}

absl::StatusOr<JoinTokens> Load(const StateDirectory& state) {
  absl::StatusOr<std::string> json = state.ReadSecret(kFile, kMaxFileBytes);
  if (absl::IsNotFound(json.status())) return JoinTokens();
  if (!json.ok()) return json.status();
  JoinTokens tokens;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // written by a later version
  const auto parsed = google::protobuf::util::JsonStringToMessage(*json, &tokens, options);
  if (!parsed.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(state.PathOf(kFile), " is corrupt: ", parsed.ToString(),
                     ". Restore it from a backup, or move it away and create the tokens again"));
  }
  return tokens;
}

absl::Status Save(const StateDirectory& state, const JoinTokens& tokens) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(tokens, &json, options).ok()) {
    return absl::InternalError("cannot encode the join tokens");
  }
  return state.Write(kFile, json, 0600);
}

absl::Status CheckGrant(const JoinGrant& grant) {
  // Whatever is wrong with the names is wrong with the identity made of them.
  const SpiffeId identity{"any", grant.name_space, grant.service_account};
  if (absl::Status valid = SpiffeId::Parse(identity.ToString()).status(); !valid.ok()) return valid;
  if (grant.lifetime < absl::Seconds(1) || grant.lifetime > kMaxLifetime) {
    return absl::InvalidArgumentError("a join token's lifetime is from one second to 366 days");
  }
  if (grant.workload.empty()) return absl::OkStatus();
  const std::string prefix = absl::StrCat(grant.name_space, "/");
  if (!grant.workload.starts_with(prefix) ||
      !SpiffeId::Parse(
           SpiffeId{"any", grant.name_space, grant.workload.substr(prefix.size())}.ToString())
           .ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("workload \"", grant.workload, "\" is not ", prefix, "<pod>"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CreateJoinToken(const StateDirectory& state, const JoinGrant& grant,
                                            absl::Time now) {
  if (absl::Status valid = CheckGrant(grant); !valid.ok()) return valid;
  absl::StatusOr<FileLock> lock = FileLock::Acquire(state.PathOf(kLockFile));
  if (!lock.ok()) return lock.status();
  absl::StatusOr<JoinTokens> tokens = Load(state);
  if (!tokens.ok()) return tokens.status();
  auto* all = tokens->mutable_tokens();
  all->erase(std::remove_if(all->begin(), all->end(),
                            [now](const JoinToken& t) { return Expiry(t) <= now; }),
             all->end());
  if (all->size() >= kMaxTokens) {
    return absl::ResourceExhaustedError("10,000 join tokens are valid already: let some expire");
  }
  const std::string token = NewSecret(kPrefix);
  JoinToken& added = *all->Add();
  added.set_sha256(HashSecret(token));
  added.set_namespace_(grant.name_space);
  added.set_service_account(grant.service_account);
  added.set_workload(grant.workload);
  *added.mutable_created() = TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(now));
  *added.mutable_expires() =
      TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(now + grant.lifetime));
  if (absl::Status saved = Save(state, *tokens); !saved.ok()) return saved;
  return token;
}

absl::Status JoinTokenStore::Refresh() {
  struct stat info = {};
  Stamp stamp;
  if (stat(state_.PathOf(kFile).c_str(), &info) == 0) {
    stamp = {info.st_ino, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_size};
  }
  if (stamp == stamp_) return absl::OkStatus();
  absl::StatusOr<JoinTokens> tokens = Load(state_);
  if (!tokens.ok()) return tokens.status();
  tokens_ = *std::move(tokens);
  stamp_ = stamp;
  return absl::OkStatus();
}

absl::StatusOr<JoinToken> JoinTokenStore::Check(std::string_view token, absl::Time now) {
  const std::string hash = HashSecret(token);
  absl::MutexLock lock(&mu_);
  if (absl::Status fresh = Refresh(); !fresh.ok()) return fresh;
  const JoinToken* found = nullptr;
  for (const JoinToken& candidate : tokens_.tokens()) {
    if (SecretsEqual(candidate.sha256(), hash)) found = &candidate;
  }
  if (found == nullptr) return absl::UnauthenticatedError("the join token is not known");
  if (Expiry(*found) <= now) {
    return absl::UnauthenticatedError(absl::StrCat(
        "the join token expired at ", absl::FormatTime(Expiry(*found), absl::UTCTimeZone()),
        ": create another with \"meshctl token create\""));
  }
  return *found;
}

}  // namespace weft::ca
