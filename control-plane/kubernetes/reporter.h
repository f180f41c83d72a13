// Tells users, through the status and the events of their objects, what the mesh makes of them.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_REPORTER_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_REPORTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/kubernetes/backoff.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"
#include "control-plane/compile/review.h"
#include "control-plane/kubernetes/conditions.h"
#include "control-plane/kubernetes/event_recorder.h"
#include "control-plane/kubernetes/served_resources.h"
#include "control-plane/kubernetes/status_writer.h"
#include "control-plane/metrics.h"

namespace weft::cluster {

// How patient to be; tests are less so.
struct ReporterTiming {
  absl::Duration look = absl::Milliseconds(200);  // how often to look for changes
  // A review is taken once nothing has changed for `quiet`, or after `longest` in any case, so that
  // objects which come one by one are judged together.
  absl::Duration quiet = absl::Milliseconds(500);
  absl::Duration longest = absl::Seconds(3);
  absl::Duration pace = absl::Milliseconds(20);  // between two objects that are written
  absl::Duration first_backoff = absl::Seconds(1);
  absl::Duration max_backoff = absl::Minutes(2);
};

// What the reporter asks; may be called from its thread at any time while it lives.
struct ReporterSources {
  std::function<bool()> leads;         // may it write now?
  std::function<uint64_t()> revision;  // grows when objects have changed
  std::function<std::vector<compile::Review>()> reviews;
};

// A thread that writes while this replica leads, and only what has changed: a write of its own
// changes no review, and so causes no other. Failures are tried again with back-off, object by
// object.
class Reporter {
 public:
  // `instance` is the replica's name. The references must outlive the reporter.
  Reporter(kubernetes::Client& client, std::string instance, ReporterSources sources,
           Metrics& metrics, const ReporterTiming& timing = {});
  // Stops the thread.
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

 private:
  // One object, and what is still to be said of it.
  struct Subject {
    explicit Subject(const ReporterTiming& timing)
        : backoff(timing.first_backoff, timing.max_backoff) {}

    compile::Review review;
    std::vector<Condition> wanted;
    bool status_due = false;
    absl::Time status_at = absl::InfinitePast();  // not before
    std::map<std::string, v1::Finding> findings;  // as told; by reason and field
    std::deque<std::pair<Event, bool>> events;    // to be told; whether it may be known
    double allowance = 0;                         // of events
    absl::Time allowed_at = absl::InfinitePast();
    absl::Time not_before = absl::InfinitePast();
    kubernetes::Backoff backoff;
  };

  void Run();
  // Takes a review when it is time to.
  void Look();
  void Take(std::vector<compile::Review> reviews);
  void Compare(Subject& subject, compile::Review review);
  void Announce(Subject& subject, const v1::Finding& finding, bool mended);
  // Writes what is due.
  void Work();
  absl::Status WriteStatus(Subject& subject);
  absl::Status WriteEvents(Subject& subject);
  // Logs a failure, once until something else happens with that kind.
  void Complain(store::Kind kind, const absl::Status& status);

  const ReporterSources sources_;
  Metrics& metrics_;
  const ReporterTiming timing_;
  ServedResources served_;
  StatusWriter writer_;
  EventRecorder recorder_;

  std::map<store::ObjectKey, Subject> subjects_;
  bool first_ = true;  // no review has been taken since this replica leads
  std::optional<uint64_t> reviewed_;
  uint64_t seen_ = 0;
  absl::Time changed_first_ = absl::InfiniteFuture();
  absl::Time changed_last_ = absl::InfinitePast();
  std::map<store::Kind, std::string> complaints_;

  kubernetes::Cancellation ended_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_REPORTER_H_
