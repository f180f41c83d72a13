#include "control-plane/kubernetes/lease.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/kubernetes/status.h"

namespace weft::cluster {
namespace {

using nlohmann::json;

constexpr absl::Duration kMinCall = absl::Seconds(1);

// MicroTime (meta/v1): the server insists on six digits.
std::string MicroTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

// A string of the Lease's spec, empty if it is absent or something else.
std::string TextOf(const json& lease, const char* field) {
  const auto spec = lease.find("spec");
  if (spec == lease.end() || !spec->is_object()) return "";
  const auto value = spec->find(field);
  return value == spec->end() || !value->is_string() ? "" : value->get<std::string>();
}

int64_t NumberOf(const json& lease, const char* field) {
  const auto spec = lease.find("spec");
  if (spec == lease.end() || !spec->is_object()) return 0;
  const auto value = spec->find(field);
  return value == spec->end() || !value->is_number_integer() ? 0 : value->get<int64_t>();
}

// What tells one renewal from another.
json RecordOf(const json& lease) {
  const auto spec = lease.find("spec");
  return spec == lease.end() ? json() : *spec;
}

}  // namespace

SteadyTime SteadyNow() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

LeaseCandidate::LeaseCandidate(kubernetes::Client& client, LeaseOptions options, SteadyClock clock)
    : client_(client), options_(std::move(options)), clock_(std::move(clock)) {}

std::string LeaseCandidate::Path() const {
  return absl::StrCat("/apis/coordination.k8s.io/v1/namespaces/", options_.name_space, "/leases");
}

std::string LeaseCandidate::Resource() const {
  return absl::StrCat("leases.coordination.k8s.io ", options_.name_space, "/", options_.name);
}

bool LeaseCandidate::IsLeader() const {
  absl::MutexLock lock(&mu_);
  return clock_() < leader_until_;
}

std::string LeaseCandidate::Holder() const {
  absl::MutexLock lock(&mu_);
  return holder_;
}

void LeaseCandidate::LeadUntil(SteadyTime time) {
  absl::MutexLock lock(&mu_);
  leader_until_ = time;
}

bool LeaseCandidate::IsOurs() const {
  return TextOf(lease_, "holderIdentity") == options_.identity;
}

bool LeaseCandidate::Expired() const {
  // The holder's own word on how long it may be silent counts if that is longer than ours.
  const absl::Duration theirs = absl::Seconds(NumberOf(lease_, "leaseDurationSeconds"));
  const bool released = TextOf(lease_, "holderIdentity").empty();
  return released || clock_() >= seen_ + std::max(theirs, options_.duration);
}

absl::Status LeaseCandidate::Attempt(const kubernetes::Cancellation* cancellation) {
  if (IsLeader() && IsOurs()) {
    const absl::Status renewed = Renew(cancellation);
    // Somebody has changed the Lease: it has to be read to know what that means.
    if (!absl::IsAborted(renewed) && !absl::IsNotFound(renewed)) return renewed;
  }
  return LookAndTake(cancellation);
}

absl::Status LeaseCandidate::Renew(const kubernetes::Cancellation* cancellation) {
  json lease = lease_;
  lease["spec"]["renewTime"] = MicroTime(absl::Now());
  lease["spec"]["leaseDurationSeconds"] = absl::ToInt64Seconds(options_.duration);
  return Put(lease, cancellation);
}

absl::Status LeaseCandidate::LookAndTake(const kubernetes::Cancellation* cancellation) {
  const absl::StatusOr<kubernetes::Response> response =
      Call({.path = absl::StrCat(Path(), "/", options_.name)}, cancellation);
  if (!response.ok()) return response.status();
  const absl::Status status = kubernetes::StatusOf(*response, "get", Resource());
  if (absl::IsNotFound(status)) {
    LeadUntil(-absl::InfiniteDuration());  // whatever we had is gone
    return Create(cancellation);
  }
  if (!status.ok()) return status;
  if (absl::Status seen = Observe(response->body); !seen.ok()) return seen;
  if (!IsOurs()) {
    LeadUntil(-absl::InfiniteDuration());
    if (!Expired()) return absl::OkStatus();
  }
  return Take(cancellation);
}

absl::Status LeaseCandidate::Create(const kubernetes::Cancellation* cancellation) {
  const std::string time = MicroTime(absl::Now());
  const json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                      {"kind", "Lease"},
                      {"metadata", {{"name", options_.name}, {"namespace", options_.name_space}}},
                      {"spec",
                       {{"holderIdentity", options_.identity},
                        {"leaseDurationSeconds", absl::ToInt64Seconds(options_.duration)},
                        {"acquireTime", time},
                        {"renewTime", time},
                        {"leaseTransitions", 0}}}};
  const SteadyTime sent = clock_();
  const absl::StatusOr<kubernetes::Response> response =
      Call({.method = "POST", .path = Path(), .body = lease.dump()}, cancellation);
  if (!response.ok()) return response.status();
  const absl::Status status = kubernetes::StatusOf(*response, "create", Resource());
  // Another candidate was faster.
  if (absl::IsAlreadyExists(status)) return absl::OkStatus();
  if (!status.ok()) return status;
  return Taken(response->body, sent);
}

absl::Status LeaseCandidate::Take(const kubernetes::Cancellation* cancellation) {
  json lease = lease_;
  const std::string time = MicroTime(absl::Now());
  json& spec = lease["spec"];
  if (!spec.is_object()) spec = json::object();
  if (!IsOurs()) {
    spec["holderIdentity"] = options_.identity;
    spec["acquireTime"] = time;
    spec["leaseTransitions"] = NumberOf(lease_, "leaseTransitions") + 1;
  }
  spec["renewTime"] = time;
  spec["leaseDurationSeconds"] = absl::ToInt64Seconds(options_.duration);
  const absl::Status status = Put(lease, cancellation);
  // Somebody else was faster, or the holder is alive after all.
  return absl::IsAborted(status) ? absl::OkStatus() : status;
}

absl::Status LeaseCandidate::Put(const json& lease, const kubernetes::Cancellation* cancellation) {
  const SteadyTime sent = clock_();
  const absl::StatusOr<kubernetes::Response> response = Call(
      {.method = "PUT", .path = absl::StrCat(Path(), "/", options_.name), .body = lease.dump()},
      cancellation);
  if (!response.ok()) return response.status();
  if (absl::Status status = kubernetes::StatusOf(*response, "update", Resource()); !status.ok()) {
    return status;
  }
  return Taken(response->body, sent);
}

absl::Status LeaseCandidate::Taken(const std::string& body, SteadyTime sent) {
  if (absl::Status seen = Observe(body); !seen.ok()) return seen;
  if (IsOurs()) LeadUntil(sent + options_.deadline());
  return absl::OkStatus();
}

absl::Status LeaseCandidate::Release() {
  if (!IsLeader() || !IsOurs()) return absl::OkStatus();
  LeadUntil(-absl::InfiniteDuration());
  json lease = lease_;
  const std::string time = MicroTime(absl::Now());
  lease["spec"]["holderIdentity"] = "";
  lease["spec"]["leaseDurationSeconds"] = 1;
  lease["spec"]["acquireTime"] = time;
  lease["spec"]["renewTime"] = time;
  return Put(lease, nullptr);
}

absl::StatusOr<kubernetes::Response> LeaseCandidate::Call(
    kubernetes::Request request, const kubernetes::Cancellation* cancellation) const {
  // Half of the deadline, so that a request that hangs leaves time for another.
  request.timeout = std::max(kMinCall, options_.deadline() / 2);
  absl::StrAppend(&request.path, "?timeout=", absl::ToInt64Seconds(request.timeout), "s");
  return client_.Call(request, cancellation);
}

absl::Status LeaseCandidate::Observe(const std::string& body) {
  json lease = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!lease.is_object() || !lease.contains("metadata") || !lease["metadata"].is_object()) {
    return absl::InternalError(absl::StrCat(Resource(), ": the server's answer is no Lease"));
  }
  // Its age counts from when it has certainly been read.
  if (lease_.is_null() || RecordOf(lease) != RecordOf(lease_)) seen_ = clock_();
  lease_ = std::move(lease);
  absl::MutexLock lock(&mu_);
  holder_ = TextOf(lease_, "holderIdentity");
  return absl::OkStatus();
}

}  // namespace weft::cluster
