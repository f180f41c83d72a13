#include "injector/webhook/mutate.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "injector/patch/inject.h"

namespace weft::webhook {
namespace {

using inject::Verdict;

const char* Word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kInject:
      return "inject";
    case Verdict::kSkip:
      return "skip";
    case Verdict::kRefuse:
      return "refuse";
  }
  return "skip";
}

// Whether the pod itself says what it wants, so that its namespace does not matter.
bool SpeaksForItself(const Json& pod) {
  std::vector<std::string> ignored;
  return inject::WishOf(inject::StringMap(inject::FindPath(pod, {"metadata", "annotations"})),
                        inject::StringMap(inject::FindPath(pod, {"metadata", "labels"})), "pod",
                        ignored)
             .word != inject::Wish::Word::kNone;
}

}  // namespace

Mutator::Mutator(inject::Settings settings, NamespaceSource& namespaces, Metrics& metrics)
    : namespaces_(namespaces),
      metrics_(metrics),
      settings_(std::make_shared<const inject::Settings>(std::move(settings))) {}

Answer Mutator::Decide(const Review& review) {
  Answer answer;
  if (review.kind != "Pod" || !review.group.empty() || review.operation != "CREATE" ||
      !review.sub_resource.empty() || review.object.is_null()) {
    metrics_.Pods("skip", "not-a-new-pod").Increment();
    return answer;
  }
  const std::shared_ptr<const inject::Settings> settings = CurrentSettings();
  inject::NamespaceFacts facts;
  if (!inject::IsExcluded(review.name_space, *settings)) {
    absl::StatusOr<inject::NamespaceFacts> found = namespaces_.Find(review.name_space);
    if (found.ok()) {
      facts = *std::move(found);
    } else if (!SpeaksForItself(review.object)) {
      WEFT_LOG_ERROR("{} passes without a sidecar, its namespace cannot be read: {}",
                     review.Subject(), found.status().ToString());
      metrics_.Pods("skip", "namespace-unknown").Increment();
      answer.warnings.push_back(
          absl::StrCat("Weft could not read namespace ", review.name_space,
                       ", so the pod gets no sidecar even if the namespace is annotated: ",
                       found.status().message()));
      return answer;
    }
  }
  facts.name = review.name_space;

  inject::Injection injection = inject::Inject(review.object, facts, *settings);
  const inject::Decision& decision = injection.decision;
  metrics_.Pods(Word(decision.verdict), decision.reason).Increment();
  answer.warnings = decision.warnings;
  if (decision.verdict == Verdict::kInject) {
    answer.patch = std::move(injection.patch);
    WEFT_LOG_INFO("{} is injected{}", review.Subject(), review.dry_run ? " (dry run)" : "");
  } else if (decision.verdict == Verdict::kRefuse && decision.reason == "malformed") {
    // The API server says better what is wrong with a pod that is none.
    WEFT_LOG_WARN("{} passes as it is: {}: {}", review.Subject(), decision.field, decision.message);
  } else if (decision.verdict == Verdict::kRefuse) {
    answer.allowed = false;
    answer.message = absl::StrCat(decision.field, ": ", decision.message);
    WEFT_LOG_WARN("{} is refused: {}", review.Subject(), answer.message);
  }
  return answer;
}

void Mutator::SetSettings(inject::Settings settings) {
  auto shared = std::make_shared<const inject::Settings>(std::move(settings));
  absl::MutexLock lock(&mutex_);
  settings_ = std::move(shared);
}

std::shared_ptr<const inject::Settings> Mutator::CurrentSettings() const {
  absl::MutexLock lock(&mutex_);
  return settings_;
}

}  // namespace weft::webhook
