#include "control-plane/ca/rotation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "google/protobuf/util/time_util.h"

namespace weft::ca {
namespace {

// Beyond a certificate's life before its root goes: clocks differ.
constexpr absl::Duration kMinMargin = absl::Seconds(5);
constexpr int kMarginFraction = 10;

absl::Duration Rounded(absl::Duration duration) {
  return std::max(absl::Ceil(duration, absl::Seconds(1)), absl::ZeroDuration());
}

bool IsFresh(const ReplicaReport& replica, const RotationOptions& options, absl::Time now) {
  return now - replica.reported <= options.report_lifetime;
}

// What keeps a replica from having the document; empty if it has it.
std::string LaggingWord(const ReplicaReport& replica, uint64_t generation,
                        const RotationOptions& options, absl::Time now) {
  if (!IsFresh(replica, options, now)) {
    return absl::StrCat("replica ", replica.name, " to report: it is silent for ",
                        absl::FormatDuration(Rounded(now - replica.reported)));
  }
  if (replica.generation < generation) {
    return absl::StrCat("replica ", replica.name, " to take over the change");
  }
  return "";
}

std::string UnacknowledgedWord(const ReplicaReport& replica) {
  if (replica.acknowledged >= replica.sidecars) return "";
  return absl::StrCat(replica.sidecars - replica.acknowledged, " of ", replica.sidecars,
                      " sidecars of replica ", replica.name, " to acknowledge the new root",
                      replica.waiting.empty() ? "" : ": ", absl::StrJoin(replica.waiting, ", "));
}

absl::Duration LongestLeaf(const RootDocument& document,
                           const std::vector<ReplicaReport>& replicas) {
  absl::Duration longest = absl::Nanoseconds(
      google::protobuf::util::TimeUtil::DurationToNanoseconds(document.record.longest_leaf()));
  for (const ReplicaReport& replica : replicas) longest = std::max(longest, replica.leaf_lifetime);
  return longest;
}

void SetLongestLeaf(RootDocument& document, absl::Duration longest) {
  *document.record.mutable_longest_leaf() =
      google::protobuf::util::TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(longest));
}

void Enter(RotationRecord::Phase phase, RootDocument& document, absl::Time now) {
  document.record.set_phase(phase);
  *document.record.mutable_phase_since() = ToTimestamp(now);
  document.record.clear_everywhere_since();
}

void WaitUntil(absl::Time earliest, std::string_view why, absl::Time now, RotationStep& step) {
  step.earliest = std::max(step.earliest, earliest);
  if (now < earliest) {
    step.waits.push_back(
        absl::StrCat(ToAbsl(why), ", ", absl::FormatDuration(Rounded(earliest - now)), " more"));
  }
}

}  // namespace

absl::Status BeginRotation(RootDocument& document, std::string_view trust_domain, absl::Time now) {
  if (document.record.phase() != RotationRecord::STABLE) {
    return absl::FailedPreconditionError(
        absl::StrCat("a rotation is under way since ",
                     absl::FormatTime(absl::RFC3339_sec, ToAbslTime(document.record.started()),
                                      absl::UTCTimeZone()),
                     ": it must end before another begins"));
  }
  absl::StatusOr<Root> root = NewRoot(trust_domain, now);
  if (!root.ok()) return root.status();
  document.other = *std::move(root);
  *document.record.mutable_started() = ToTimestamp(now);
  document.record.clear_longest_leaf();
  Enter(RotationRecord::ANNOUNCED, document, now);
  return absl::OkStatus();
}

RotationStep NextStep(const RootDocument& document, const std::vector<ReplicaReport>& replicas,
                      const RotationOptions& options, absl::Time now) {
  const RotationRecord& record = document.record;
  RotationStep step;
  if (record.phase() == RotationRecord::STABLE) return step;
  if (replicas.empty()) step.waits.push_back("the replicas to report");
  bool everywhere = !replicas.empty();
  for (const ReplicaReport& replica : replicas) {
    // A generation says more than a phase; only `everywhere_since` is written in between.
    const uint64_t needed = record.generation() - (record.has_everywhere_since() ? 1 : 0);
    std::string word = LaggingWord(replica, needed, options, now);
    if (word.empty()) continue;
    everywhere = false;
    step.waits.push_back(std::move(word));
  }
  const absl::Time settled = ToAbslTime(record.phase_since()) + options.settle;
  switch (record.phase()) {
    case RotationRecord::ANNOUNCED: {
      WaitUntil(settled, "files and certificates that follow the bundle to settle", now, step);
      if (!step.waits.empty()) return step;
      step.next = document;
      Enter(RotationRecord::CONFIRMED, *step.next, now);
      return step;
    }
    case RotationRecord::CONFIRMED: {
      for (const ReplicaReport& replica : replicas) {
        std::string word = UnacknowledgedWord(replica);
        if (!word.empty()) step.waits.push_back(std::move(word));
      }
      WaitUntil(settled, "sidecars that are just coming back", now, step);
      if (!step.waits.empty()) return step;
      step.next = document;
      std::swap(step.next->signing, *step.next->other);
      // Nobody signs with the old root again: its key need not exist any longer.
      step.next->other->key.reset();
      SetLongestLeaf(*step.next, LongestLeaf(document, replicas));
      Enter(RotationRecord::SIGNING, *step.next, now);
      return step;
    }
    default:
      break;
  }
  // The last certificate of the old root may have been signed when the last replica took over.
  const absl::Duration longest = LongestLeaf(document, replicas);
  const absl::Duration known = absl::Nanoseconds(
      google::protobuf::util::TimeUtil::DurationToNanoseconds(record.longest_leaf()));
  if (!record.has_everywhere_since()) {
    if (!everywhere) return step;
    step.next = document;
    *step.next->record.mutable_everywhere_since() = ToTimestamp(now);
    SetLongestLeaf(*step.next, std::max(longest, known));
    return step;
  }
  const absl::Time retired =
      ToAbslTime(record.everywhere_since()) + known + std::max(kMinMargin, known / kMarginFraction);
  WaitUntil(std::max(retired, settled), "certificates of the old root to expire", now, step);
  if (!step.waits.empty()) return step;
  step.next = document;
  step.next->other.reset();
  *step.next->record.mutable_finished() = ToTimestamp(now);
  step.next->record.clear_longest_leaf();
  Enter(RotationRecord::STABLE, *step.next, now);
  return step;
}

}  // namespace weft::ca
