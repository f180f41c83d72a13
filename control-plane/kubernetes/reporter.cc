#include "control-plane/kubernetes/reporter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"

namespace weft::cluster {
namespace {

// An object whose mistakes come and go tells of them so often at once, and then once in a while.
constexpr double kEventsAtOnce = 10;
constexpr absl::Duration kEventEvery = absl::Minutes(1);
constexpr size_t kMaxEventsDue = 50;  // of one object
// How often to look whether a kind without a status has got one.
constexpr absl::Duration kStatusAgain = absl::Minutes(10);

std::string SubjectOf(const v1::Finding& finding) {
  return absl::StrCat(finding.reason(), " ", finding.field());
}

}  // namespace

Reporter::Reporter(kubernetes::Client& client, std::string instance, ReporterSources sources,
                   Metrics& metrics, const ReporterTiming& timing)
    : sources_(std::move(sources)),
      metrics_(metrics),
      timing_(timing),
      served_(client),
      writer_(client, served_),
      recorder_(client, std::move(instance)) {
  thread_ = std::thread([this] { Run(); });
}

Reporter::~Reporter() {
  ended_.Cancel();
  thread_.join();
}

void Reporter::Run() {
  while (ended_.Sleep(timing_.look)) {
    if (!sources_.leads()) {
      // Another replica writes now; what is known here will be old when this one leads again.
      subjects_.clear();
      complaints_.clear();
      reviewed_.reset();
      first_ = true;
      continue;
    }
    Look();
    Work();
  }
}

void Reporter::Look() {
  const uint64_t revision = sources_.revision();
  if (reviewed_ == revision) return;
  const absl::Time now = absl::Now();
  if (revision != seen_ || changed_first_ == absl::InfiniteFuture()) {
    seen_ = revision;
    changed_last_ = now;
    changed_first_ = std::min(changed_first_, now);
  }
  if (now < changed_last_ + timing_.quiet && now < changed_first_ + timing_.longest) return;
  changed_first_ = absl::InfiniteFuture();
  reviewed_ = revision;
  Take(sources_.reviews());
}

void Reporter::Take(std::vector<compile::Review> reviews) {
  std::set<store::ObjectKey> present;
  for (compile::Review& review : reviews) {
    if (review.uid.empty()) continue;
    present.insert(review.key);
    const auto known = subjects_.find(review.key);
    if (known != subjects_.end() && known->second.review.uid != review.uid) subjects_.erase(known);
    Subject& subject = subjects_.try_emplace(review.key, timing_).first->second;
    Compare(subject, std::move(review));
  }
  std::erase_if(subjects_, [&](const auto& entry) { return !present.contains(entry.first); });
  first_ = false;
}

void Reporter::Compare(Subject& subject, compile::Review review) {
  std::map<std::string, v1::Finding> findings;
  for (const v1::Finding& finding : review.findings) {
    findings.emplace(SubjectOf(finding), finding);
  }
  subject.review = std::move(review);
  for (const auto& [name, finding] : findings) {
    const auto told = subject.findings.find(name);
    if (told == subject.findings.end() || told->second.message() != finding.message()) {
      Announce(subject, finding, /*mended=*/false);
    }
  }
  for (const auto& [name, finding] : subject.findings) {
    if (!findings.contains(name)) Announce(subject, finding, /*mended=*/true);
  }
  subject.findings = std::move(findings);

  std::vector<Condition> wanted = ConditionsOf(subject.review);
  if (wanted == subject.wanted) return;
  subject.wanted = std::move(wanted);
  subject.status_due = true;
  subject.not_before = absl::InfinitePast();
}

void Reporter::Announce(Subject& subject, const v1::Finding& finding, bool mended) {
  const absl::Time now = absl::Now();
  subject.allowance = std::min(
      kEventsAtOnce, subject.allowance + absl::FDivDuration(now - subject.allowed_at, kEventEvery));
  subject.allowed_at = now;
  if (subject.allowance < 1 || subject.events.size() >= kMaxEventsDue) {
    metrics_.Events("dropped").Increment();
    return;
  }
  subject.allowance -= 1;
  const std::string what = absl::StrCat(finding.field(), ": ", finding.message());
  Event event{.object = subject.review.key,
              .uid = subject.review.uid,
              .api_version = {},  // known when it is told
              .warning = !mended,
              .reason = mended ? "Resolved" : finding.reason(),
              .message = mended ? absl::StrCat("no longer so: ", what)
                                : absl::StrCat(what, finding.remedy().empty() ? "" : "; ",
                                               finding.remedy()),
              .subject = SubjectOf(finding)};
  subject.events.emplace_back(std::move(event), first_);
}

void Reporter::Work() {
  for (auto& [key, subject] : subjects_) {
    const absl::Time now = absl::Now();
    const bool due = !subject.events.empty() || (subject.status_due && now >= subject.status_at);
    if (!due || now < subject.not_before) continue;
    if (ended_.cancelled() || !sources_.leads()) return;
    absl::Status status = WriteStatus(subject);
    if (status.ok()) status = WriteEvents(subject);
    if (status.ok()) {
      subject.backoff.Reset();
      complaints_.erase(key.kind);
    } else {
      subject.not_before = absl::Now() + subject.backoff.Next();
      Complain(key.kind, status);
    }
    if (!ended_.Sleep(timing_.pace)) return;
  }
}

absl::Status Reporter::WriteStatus(Subject& subject) {
  if (!subject.status_due || absl::Now() < subject.status_at) return absl::OkStatus();
  const absl::StatusOr<StatusWriter::Outcome> outcome =
      writer_.Write(subject.review, subject.wanted, ended_);
  if (!outcome.ok()) {
    // Events may be possible all the same.
    if (!absl::IsPermissionDenied(outcome.status())) return outcome.status();
    if (const absl::Status events = WriteEvents(subject); !events.ok()) return events;
    return outcome.status();
  }
  if (*outcome == StatusWriter::Outcome::kNoStatus) {
    subject.status_at = absl::Now() + kStatusAgain;
    return absl::OkStatus();
  }
  subject.status_due = false;
  if (*outcome == StatusWriter::Outcome::kWritten) metrics_.StatusWrites("written").Increment();
  // What overtook it may be a change that alters no finding.
  if (*outcome == StatusWriter::Outcome::kOvertaken) subject.wanted.clear();
  return absl::OkStatus();
}

absl::Status Reporter::WriteEvents(Subject& subject) {
  while (!subject.events.empty()) {
    if (ended_.cancelled() || !sources_.leads()) return absl::OkStatus();
    auto& [event, known] = subject.events.front();
    const absl::Time now = absl::Now();
    const absl::StatusOr<ServedResource> resource = served_.Find(event.object.kind, now, ended_);
    if (!resource.ok() && !absl::IsNotFound(resource.status())) return resource.status();
    if (resource.ok()) {
      event.api_version = resource->api_version;
      if (absl::Status recorded = recorder_.Record(event, known, now, ended_); !recorded.ok()) {
        return recorded;
      }
      metrics_.Events("written").Increment();
    }
    subject.events.pop_front();
  }
  return absl::OkStatus();
}

void Reporter::Complain(store::Kind kind, const absl::Status& status) {
  if (ended_.cancelled() || absl::IsAborted(status)) return;  // somebody else was faster
  metrics_.StatusWrites("failed").Increment();
  std::string& last = complaints_[kind];
  if (last == status.message()) return;
  last = std::string(status.message());
  WEFT_LOG_WARN("status of {} objects cannot be written: {}", store::KindName(kind),
                status.ToString());
}

}  // namespace weft::cluster
