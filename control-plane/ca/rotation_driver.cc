#include "control-plane/ca/rotation_driver.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace weft::ca {
namespace {

// An unchanged report is left again this often, so that it stays fresh.
constexpr absl::Duration kReportAgain = absl::Seconds(5);

bool SaysTheSame(const ReplicaReport& a, const ReplicaReport& b) {
  return a.generation == b.generation && a.sidecars == b.sidecars &&
         a.acknowledged == b.acknowledged && a.waiting == b.waiting;
}

}  // namespace

RotationStep RotationDriver::StepOf(const RootDocument& document,
                                    const std::vector<ReplicaReport>& replicas,
                                    absl::Time now) const {
  RotationStep step = NextStep(document, replicas, options_.rotation, now);
  if (document.record.phase() == RotationRecord::CONFIRMED && options_.before_signing) {
    if (std::string wait = options_.before_signing(); !wait.empty()) {
      step.next.reset();
      step.waits.push_back(std::move(wait));
    }
  }
  return step;
}

absl::StatusOr<std::vector<ReplicaReport>> RotationDriver::Exchange(ReplicaReport own,
                                                                    absl::Time now) {
  if (options_.board == nullptr) return std::vector<ReplicaReport>{std::move(own)};
  const bool rotating = keeper_.document().record.phase() != RotationRecord::STABLE;
  const bool due =
      published_.reported == absl::InfinitePast() || !(own.generation == published_.generation) ||
      (rotating && (!SaysTheSame(own, published_) || now - published_.reported >= kReportAgain));
  if (due) {
    if (absl::Status left = options_.board->Publish(own); !left.ok()) return left;
    published_ = own;
  }
  if (!rotating) return std::vector<ReplicaReport>{std::move(own)};
  absl::StatusOr<std::vector<ReplicaReport>> all = options_.board->Read(now);
  if (!all.ok()) return all.status();
  // What it knows of itself is fresher than what it has left.
  std::erase_if(*all, [&](const ReplicaReport& report) { return report.name == own.name; });
  all->push_back(std::move(own));
  std::ranges::sort(*all, {}, &ReplicaReport::name);
  return all;
}

absl::Status RotationDriver::Round(absl::Time now) {
  if (absl::Status read = keeper_.Refresh(now); !read.ok()) return read;
  const RootDocument document = keeper_.document();
  ReplicaReport own{.name = options_.replica,
                    .generation = document.record.generation(),
                    .waiting = {},
                    .leaf_lifetime = keeper_.authority().leaf_lifetime(),
                    .reported = now};
  if (options_.count_sidecars) options_.count_sidecars(own);
  absl::StatusOr<std::vector<ReplicaReport>> replicas = Exchange(std::move(own), now);
  if (!replicas.ok()) return replicas.status();
  {
    absl::MutexLock lock(&mu_);
    replicas_ = *replicas;
  }
  if (!options_.is_leader()) return absl::OkStatus();
  RotationStep step = StepOf(document, *replicas, now);
  if (!step.next.has_value()) return absl::OkStatus();
  const RotationRecord::Phase phase = step.next->record.phase();
  const absl::Status taken = keeper_.Change(
      [&](RootDocument& current) {
        if (current.record.generation() != document.record.generation()) {
          return absl::AbortedError("the rotation has moved on meanwhile");
        }
        current = *step.next;
        return absl::OkStatus();
      },
      now);
  if (taken.ok() && phase != document.record.phase()) {
    WEFT_LOG_INFO("rotation of the root: {}", RotationRecord::Phase_Name(phase));
  }
  return absl::IsAborted(taken) ? absl::OkStatus() : taken;
}

void RotationDriver::Tick(absl::Time now) {
  absl::Status status = Round(now);
  absl::MutexLock lock(&mu_);
  if (!status.ok() && status != problem_) {
    WEFT_LOG_ERROR("the CA goes on with what it has: {}", status.ToString());
  } else if (status.ok() && !problem_.ok()) {
    WEFT_LOG_INFO("the CA's state can be read again");
  }
  problem_ = std::move(status);
}

absl::Status RotationDriver::Begin(absl::Time now) {
  absl::Status begun = keeper_.Change(
      [&](RootDocument& document) {
        return BeginRotation(document, keeper_.authority().trust_domain(), now);
      },
      now);
  if (begun.ok()) WEFT_LOG_INFO("rotation of the root: ANNOUNCED");
  return begun;
}

RotationStatus RotationDriver::Status(absl::Time now) const {
  RotationStatus status{.document = keeper_.document(), .step = {}, .replicas = {}, .problem = {}};
  {
    absl::MutexLock lock(&mu_);
    status.replicas = replicas_;
    status.problem = problem_;
  }
  status.leader = options_.is_leader();
  status.step = StepOf(status.document, status.replicas, now);
  status.step.next.reset();
  return status;
}

}  // namespace weft::ca
