#include "control-plane/ca/kubernetes/token_reviewer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/kubernetes/status.h"
#include "base/log.h"
#include "base/spiffe_id.h"
#include "base/strings.h"
#include "control-plane/ca/secret.h"

namespace weft::ca {
namespace {

using Json = nlohmann::json;

constexpr char kPath[] = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr char kPodName[] = "authentication.kubernetes.io/pod-name";
constexpr char kPodUid[] = "authentication.kubernetes.io/pod-uid";
constexpr absl::string_view kUserPrefix = "system:serviceaccount:";
constexpr size_t kMaxResponseBytes = 256 * 1024;
constexpr size_t kMaxReasonBytes = 300;
// Whoever has waited longer has given up.
constexpr absl::Duration kMaxWait = absl::Seconds(10);

// The member of an object, or null.
const Json& Member(const Json& json, const char* name) {
  static const Json null;
  if (!json.is_object()) return null;
  const auto found = json.find(name);
  return found == json.end() ? null : *found;
}

std::string Text(const Json& json) { return json.is_string() ? json.get<std::string>() : ""; }

// The one value of an entry of user.extra; empty if it has none or several.
std::string Extra(const Json& user, const char* name) {
  const Json& values = Member(Member(user, "extra"), name);
  return values.is_array() && values.size() == 1 ? Text(values[0]) : "";
}

absl::Status Unauthenticated(absl::string_view why) {
  return absl::UnauthenticatedError(
      absl::StrCat("the service-account token is not accepted: ", why));
}

}  // namespace

absl::StatusOr<PodToken> ReadTokenReview(std::string_view body, std::string_view token) {
  const Json json = Json::parse(body, nullptr, false);
  const Json& status = Member(json, "status");
  if (!status.is_object()) {
    return absl::UnavailableError("the API server's answer to the token review is no TokenReview");
  }
  const Json& authenticated = Member(status, "authenticated");
  if (!authenticated.is_boolean() || !authenticated.get<bool>()) {
    const std::string reason = Text(Member(status, "error")).substr(0, kMaxReasonBytes);
    if (reason.empty() || absl::StrContains(reason, ToAbsl(token))) {
      return Unauthenticated("the API server does not vouch for it");
    }
    return Unauthenticated(reason);
  }
  const Json& audiences = Member(status, "audiences");
  // Authenticators that know no audience leave them out, or name the server's own.
  if (!audiences.is_array() || std::ranges::none_of(audiences, [](const Json& one) {
        return Text(one) == kTokenAudience;
      })) {
    return Unauthenticated("it is not for audience \"weft\"");
  }
  const Json& user = Member(status, "user");
  const std::string name = Text(Member(user, "username"));
  absl::string_view account = name;
  const bool is_account = absl::ConsumePrefix(&account, kUserPrefix);
  const std::vector<std::string> parts = absl::StrSplit(account, ':');
  if (!is_account || parts.size() != 2 ||
      !SpiffeId::Parse(SpiffeId{"any", parts[0], parts[1]}.ToString()).ok()) {
    return Unauthenticated("it is not a service account's");
  }
  PodToken vouched{.name_space = parts[0],
                   .service_account = parts[1],
                   .pod = Extra(user, kPodName),
                   .pod_uid = Extra(user, kPodUid)};
  if (vouched.pod.empty() != vouched.pod_uid.empty()) {
    return Unauthenticated("the API server names only one of its pod's name and uid");
  }
  return vouched;
}

KubernetesTokenReviewer::KubernetesTokenReviewer(ApiCall call, Options options)
    : call_(std::move(call)), options_(options) {
  for (size_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

KubernetesTokenReviewer::~KubernetesTokenReviewer() {
  std::deque<Question> left;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    left.swap(queue_);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const Question& question : left) {
    question.done(absl::UnavailableError("the control plane is shutting down"));
  }
}

void KubernetesTokenReviewer::Review(std::string token, Done done) {
  const absl::Time now = absl::Now();
  const std::string hash = HashSecret(token);
  absl::StatusOr<PodToken> known = absl::UnavailableError("the control plane is shutting down");
  {
    absl::MutexLock lock(&mu_);
    const auto found = vouched_.find(hash);
    if (found != vouched_.end() && now < found->second.until) {
      known = found->second.token;
    } else if (!stopping_ && queue_.size() >= options_.queue) {
      known = absl::ResourceExhaustedError(
          absl::StrCat(options_.queue, " service-account tokens are waiting to be checked: try ",
                       "again later"));
    } else if (!stopping_) {
      queue_.push_back({std::move(token), std::move(done), now});
      return;
    }
  }
  done(std::move(known));
}

void KubernetesTokenReviewer::Run() {
  while (true) {
    Question question;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &KubernetesTokenReviewer::HasWork));
      if (stopping_) return;
      question = std::move(queue_.front());
      queue_.pop_front();
    }
    if (absl::Now() - question.asked > kMaxWait) {
      question.done(absl::UnavailableError("the token waited too long to be checked: try again"));
      continue;
    }
    absl::StatusOr<PodToken> answer = Ask(question.token);
    if (answer.ok()) Remember(HashSecret(question.token), *answer, absl::Now());
    question.done(std::move(answer));
  }
}

absl::StatusOr<PodToken> KubernetesTokenReviewer::Ask(const std::string& token) {
  const Json review = {{"apiVersion", "authentication.k8s.io/v1"},
                       {"kind", "TokenReview"},
                       {"spec", {{"token", token}, {"audiences", {kTokenAudience}}}}};
  const absl::StatusOr<kubernetes::Response> response =
      call_({.method = "POST",
             .path = kPath,
             .body = review.dump(-1, ' ', false, Json::error_handler_t::replace),
             .timeout = options_.timeout,
             .max_response_bytes = kMaxResponseBytes});
  if (!response.ok()) {
    return absl::UnavailableError(
        absl::StrCat("the Kubernetes API server, which has to vouch for service-account tokens, "
                     "cannot be asked now: ",
                     response.status().message()));
  }
  const absl::Status refused = kubernetes::StatusOf(*response, "create", "tokenreviews");
  if (refused.ok()) return ReadTokenReview(response->body, token);
  if (absl::IsInvalidArgument(refused)) return Unauthenticated("it is malformed");
  // Missing rights, an overloaded server: nothing that the caller could mend.
  WEFT_LOG_ERROR("service-account tokens cannot be checked: {}", refused.ToString());
  return absl::UnavailableError(
      absl::StrCat("service-account tokens cannot be checked now: ", refused.message()));
}

void KubernetesTokenReviewer::Remember(const std::string& hash, const PodToken& token,
                                       absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (vouched_.size() >= options_.remembered) {
    absl::erase_if(vouched_, [&](const auto& entry) { return now >= entry.second.until; });
    if (vouched_.size() >= options_.remembered) vouched_.clear();
  }
  vouched_[hash] = {token, now + options_.remember};
}

}  // namespace weft::ca
