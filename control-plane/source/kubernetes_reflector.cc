#include "control-plane/source/kubernetes_reflector.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/kubernetes/status.h"
#include "base/log.h"
#include "base/strings.h"
#include "control-plane/source/kubernetes_event.h"

namespace weft::source {
namespace {

using Json = nlohmann::json;
using kubernetes::Response;

constexpr int kPageSize = 500;
// A watch that ends sooner, and without an event, is not what it should be.
constexpr absl::Duration kShortWatch = absl::Seconds(1);

bool IsSuccess(const absl::StatusOr<Response>& response) {
  return response.ok() && response->code == 200;
}

bool IsNotFound(const absl::StatusOr<Response>& response) {
  return response.ok() && response->code == 404;
}

// Whether `document[list]` has an element whose `field` is `text`.
bool Lists(const std::string& document, const char* list, const char* field,
           std::string_view text) {
  const Json json = Json::parse(document, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains(list) || !json[list].is_array()) return false;
  return std::ranges::any_of(json[list], [&](const Json& element) {
    return element.is_object() && element.contains(field) && element[field].is_string() &&
           element[field].get_ref<const std::string&>() == text;
  });
}

}  // namespace

KubernetesReflector::KubernetesReflector(kubernetes::Client& client,
                                         const KubernetesResource& resource,
                                         const KubernetesTiming& timing,
                                         KubernetesObjects::Sink sink, Metrics& metrics)
    : client_(client),
      resource_(resource),
      timing_(timing),
      metrics_(metrics),
      label_(store::KindName(resource.kind)),
      objects_(resource.kind, std::move(sink)),
      backoff_(timing.first_backoff, timing.max_backoff),
      version_(resource.built_in ? resource.versions.front() : std::string_view()),
      thread_([this] { Run(); }) {}

KubernetesReflector::~KubernetesReflector() {
  Stop();
  thread_.join();
}

bool KubernetesReflector::Settled() const {
  absl::MutexLock lock(&mutex_);
  return settled_;
}

absl::Status KubernetesReflector::Trouble(absl::Time& since) const {
  absl::MutexLock lock(&mutex_);
  since = trouble_since_;
  return trouble_;
}

void KubernetesReflector::Run() {
  while (!stop_.cancelled()) {
    const Outcome outcome = resource_version_.empty() ? List() : Watch();
    if (stop_.cancelled()) return;
    if (outcome.status.ok()) continue;
    metrics_.SourceFailures(label_, outcome.status.code()).Increment();
    // That history does not reach back far enough is what a long absence leads to, and no reason to
    // wait, unless it comes straight after a list.
    if (absl::IsOutOfRange(outcome.status) && absl::Now() - listed_ > timing_.max_backoff) {
      WEFT_LOG_INFO("kubernetes: {}; listing anew", std::string(outcome.status.message()));
      continue;
    }
    Pause(outcome);
  }
}

KubernetesReflector::Outcome KubernetesReflector::List() {
  if (version_.empty()) {
    Outcome found = FindVersion();
    if (version_.empty()) return found;
  }
  Outcome listed;
  if (streaming_) {
    listed = StreamingList();
    // Who may not watch may yet be allowed to list.
    if (absl::IsPermissionDenied(listed.status)) listed = PagedList();
  } else {
    listed = PagedList();
  }
  if (absl::IsNotFound(listed.status)) {
    // This version of the kind, or all of it, is gone.
    if (!resource_.built_in) version_.clear();
    return listed;
  }
  if (!listed.status.ok()) return listed;
  listed_ = absl::Now();
  metrics_.SourceLists(label_).Increment();
  WEFT_LOG_INFO("kubernetes: {} listed: {} objects at resource version {}",
                resource_.VersionPath(version_) + "/" + std::string(resource_.name),
                objects_.size(), resource_version_);
  UpToDate();
  return listed;
}

KubernetesReflector::Outcome KubernetesReflector::FindVersion() {
  const absl::StatusOr<Response> group = client_.Call({.path = resource_.GroupPath()}, &stop_);
  if (IsNotFound(group)) return Absent();
  if (!IsSuccess(group)) return Refused(group, "discover");
  for (const std::string_view version : resource_.versions) {
    if (!Lists(group->body, "versions", "version", version)) continue;
    const absl::StatusOr<Response> resources =
        client_.Call({.path = resource_.VersionPath(version)}, &stop_);
    if (IsNotFound(resources)) continue;
    if (!IsSuccess(resources)) return Refused(resources, "discover");
    if (!Lists(resources->body, "resources", "name", resource_.name)) continue;
    version_ = version;
    times_absent_ = 0;
    return {};
  }
  return Absent();
}

KubernetesReflector::Outcome KubernetesReflector::Absent() {
  ++times_absent_;
  // A single 404 empties nothing: something between us and the server may have said it.
  if (times_absent_ > 1 || objects_.size() == 0) {
    objects_.Clear();
    absl::MutexLock lock(&mutex_);
    if (!settled_ || times_absent_ == 2) {
      WEFT_LOG_INFO("kubernetes: {} is not installed", resource_.FullName());
    }
    settled_ = true;
    trouble_ = absl::OkStatus();
  }
  backoff_.Reset();
  stop_.Sleep(backoff_.Jitter(timing_.absent));
  return {};
}

KubernetesReflector::Outcome KubernetesReflector::StreamingList() {
  objects_.BeginList();
  std::string resource_version;  // set when the list is complete
  Outcome failure;
  const absl::Time deadline = absl::Now() + timing_.initial;
  const absl::StatusOr<Response> response = client_.Stream(
      {.path = Path(absl::StrCat("watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
                                 "&resourceVersionMatch=NotOlderThan&timeoutSeconds=",
                                 absl::ToInt64Seconds(timing_.initial))),
       .silence = timing_.initial_silence},
      [&](std::string_view line) {
        const absl::StatusOr<WatchEvent> event = ParseWatchEvent(line);
        if (!event.ok()) {
          failure = Malformed(event.status(), "watch");
          return false;
        }
        switch (event->type) {
          case WatchEvent::Type::kAdded:
            Listed(event->object);
            break;
          case WatchEvent::Type::kBookmark:
            if (!event->initial_events_end) break;
            resource_version = event->resource_version;
            return false;
          case WatchEvent::Type::kError:
            failure = RefusedByEvent(event->object, "watch");
            return false;
          case WatchEvent::Type::kModified:
          case WatchEvent::Type::kDeleted:
            // No initial event: this server has ignored what we asked for.
            streaming_ = false;
            return false;
        }
        return absl::Now() < deadline;
      },
      stop_);
  if (!resource_version.empty()) {
    objects_.EndList();
    resource_version_ = std::move(resource_version);
    return {};
  }
  if (!failure.status.ok()) return failure;
  const bool answered = response.ok() || absl::IsDeadlineExceeded(response.status());
  const bool refused =
      response.ok() && response->code != 200 && response->code != 400 && response->code != 422;
  if (!answered || refused) return Refused(response, "watch");
  // The server rejects what it does not know (400, 422), or does not send what was asked for.
  streaming_ = false;
  WEFT_LOG_INFO("kubernetes: no streaming list of {}; listing in pages", resource_.FullName());
  return PagedList();
}

KubernetesReflector::Outcome KubernetesReflector::PagedList() {
  objects_.BeginList();
  std::string resource_version, continue_token;
  do {
    std::string query = absl::StrCat("limit=", kPageSize);
    if (!continue_token.empty()) {
      absl::StrAppend(&query, "&continue=", kubernetes::EscapeUrl(continue_token));
    }
    const absl::StatusOr<Response> response = client_.Call({.path = Path(query)}, &stop_);
    if (!IsSuccess(response)) return Refused(response, "list");
    const absl::StatusOr<ListPage> page =
        ParseListPage(response->body, [this](std::string_view item) { Listed(item); });
    if (!page.ok()) return Malformed(page.status(), "list");
    resource_version = page->resource_version;
    continue_token = page->continue_token;
  } while (!continue_token.empty());
  objects_.EndList();
  resource_version_ = std::move(resource_version);
  return {};
}

KubernetesReflector::Outcome KubernetesReflector::Watch() {
  metrics_.SourceWatches(label_).Increment();
  const absl::Time begin = absl::Now();
  bool heard = false;
  Outcome failure;
  const absl::StatusOr<Response> response = client_.Stream(
      {.path = Path(absl::StrCat(
           "watch=true&allowWatchBookmarks=true&resourceVersion=", resource_version_,
           "&timeoutSeconds=",
           absl::ToInt64Seconds(timing_.watch * absl::Uniform<double>(random_, 1.0, 2.0)))),
       .silence = timing_.silence,
       .on_open = [this] { UpToDate(); }},
      [&](std::string_view line) {
        const absl::StatusOr<WatchEvent> event = ParseWatchEvent(line);
        if (!event.ok()) {
          failure = Malformed(event.status(), "watch");
          return false;
        }
        if (event->type == WatchEvent::Type::kError) {
          failure = RefusedByEvent(event->object, "watch");
          return false;
        }
        switch (event->type) {
          case WatchEvent::Type::kAdded:
          case WatchEvent::Type::kModified:
            Changed(event->object);
            break;
          case WatchEvent::Type::kDeleted:
            objects_.Deleted(event->object);
            break;
          case WatchEvent::Type::kBookmark:
          case WatchEvent::Type::kError:
            break;
        }
        resource_version_ = event->resource_version;
        heard = true;
        UpToDate();
        return true;
      },
      stop_);
  const bool worked = heard || absl::Now() - begin >= kShortWatch;
  if (worked) backoff_.Reset();
  if (!failure.status.ok()) {
    resource_version_.clear();
    return failure;
  }
  if (IsSuccess(response)) {
    if (worked) return {};
    return {.status = absl::UnavailableError(
                absl::StrCat("watch ", resource_.FullName(), ": the server ended it at once"))};
  }
  // Silence, or a refusal that is not about the moment: what we know may be out of date, and the
  // resource version of no use.
  const bool momentary =
      response.ok() ? response->code == 401 || response->code == 429 || response->code == 503
                    : absl::IsUnavailable(response.status());
  if (!momentary) resource_version_.clear();
  return Refused(response, "watch");
}

KubernetesReflector::Outcome KubernetesReflector::Refused(const absl::StatusOr<Response>& response,
                                                          std::string_view verb) {
  if (!response.ok()) {
    return {.status = absl::Status(response.status().code(),
                                   absl::StrCat(ToAbsl(verb), " ", resource_.FullName(), ": ",
                                                response.status().message()))};
  }
  const kubernetes::Refusal refusal = kubernetes::ParseRefusal(response->body, response->code);
  return {.status = kubernetes::StatusOf(*response, verb, resource_.FullName()),
          .retry_after = std::max(response->retry_after, refusal.retry_after)};
}

KubernetesReflector::Outcome KubernetesReflector::RefusedByEvent(std::string_view status_object,
                                                                 std::string_view verb) {
  const kubernetes::Refusal refusal = kubernetes::ParseRefusal(status_object, 500);
  Outcome outcome{.status = kubernetes::StatusOf(refusal, verb, resource_.FullName()),
                  .retry_after = refusal.retry_after};
  if (outcome.status.ok()) {
    outcome.status = absl::UnavailableError(
        absl::StrCat(ToAbsl(verb), " ", resource_.FullName(), ": an error without a code"));
  }
  return outcome;
}

KubernetesReflector::Outcome KubernetesReflector::Malformed(const absl::Status& status,
                                                            std::string_view verb) {
  return {.status = absl::InternalError(
              absl::StrCat(ToAbsl(verb), " ", resource_.FullName(),
                           ": the server's answer makes no sense: ", status.message()))};
}

void KubernetesReflector::Listed(std::string_view object) {
  if (!objects_.Listed(object, ApiVersion())) metrics_.SourceRejected(label_).Increment();
}

void KubernetesReflector::Changed(std::string_view object) {
  if (!objects_.Changed(object, ApiVersion())) metrics_.SourceRejected(label_).Increment();
}

void KubernetesReflector::UpToDate() {
  metrics_.SourceUpToDate(label_).SetToCurrentTime();
  absl::MutexLock lock(&mutex_);
  if (!trouble_.ok()) {
    WEFT_LOG_INFO(
        "kubernetes: {} is followed again, after {}", resource_.FullName(),
        absl::FormatDuration(absl::Trunc(absl::Now() - trouble_since_, absl::Milliseconds(1))));
  }
  settled_ = true;
  trouble_ = absl::OkStatus();
}

void KubernetesReflector::Pause(const Outcome& outcome) {
  const bool forbidden = absl::IsPermissionDenied(outcome.status);
  bool news = false;
  {
    absl::MutexLock lock(&mutex_);
    if (trouble_.ok()) trouble_since_ = absl::Now();
    news = trouble_.code() != outcome.status.code();
    trouble_ = outcome.status;
    settled_ = settled_ || forbidden;
  }
  absl::Duration wait = backoff_.Next(outcome.retry_after);
  if (forbidden) wait = std::max(wait, backoff_.Jitter(timing_.forbidden));
  if (news) {
    WEFT_LOG_WARN("kubernetes: {}; trying again in {}, what is known stays in force",
                  std::string(outcome.status.message()),
                  absl::FormatDuration(absl::Trunc(wait, absl::Milliseconds(1))));
  }
  stop_.Sleep(wait);
}

std::string KubernetesReflector::Path(std::string_view query) const {
  return absl::StrCat(resource_.VersionPath(version_), "/", ToAbsl(resource_.name), "?",
                      ToAbsl(query));
}

}  // namespace weft::source
