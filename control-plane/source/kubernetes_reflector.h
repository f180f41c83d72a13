// Follows one kind of objects of a Kubernetes API server: list, then watch.
#ifndef WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_REFLECTOR_H_
#define WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_REFLECTOR_H_

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/kubernetes/backoff.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"
#include "control-plane/metrics.h"
#include "control-plane/source/kubernetes_objects.h"
#include "control-plane/source/kubernetes_resource.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// How patient to be; tests are less so.
struct KubernetesTiming {
  absl::Duration first_backoff = absl::Milliseconds(250);
  absl::Duration max_backoff = absl::Seconds(5);
  // How often to look whether a kind that is not installed has come.
  absl::Duration absent = absl::Seconds(3);
  // How often to try again what we have no right to.
  absl::Duration forbidden = absl::Seconds(20);
  // The server ends a watch after a time between this and its double, so that not all end at once.
  absl::Duration watch = absl::Minutes(5);
  // A watch that says nothing for so long is dead: servers send a bookmark every minute.
  absl::Duration silence = absl::Seconds(90);
  // How long the initial events of a streaming list may stay away, and how long take in all.
  absl::Duration initial_silence = absl::Seconds(10);
  absl::Duration initial = absl::Minutes(1);
};

// A thread that keeps the objects of one kind up to date for as long as it lives, whatever the
// server does meanwhile: what it knows stays in force until the server says something newer.
class KubernetesReflector {
 public:
  // The references must outlive the reflector. `sink` is called on the reflector's thread.
  KubernetesReflector(kubernetes::Client& client, const KubernetesResource& resource,
                      const KubernetesTiming& timing, KubernetesObjects::Sink sink,
                      Metrics& metrics);
  // Stops the thread; the sink is not called any more when this returns.
  ~KubernetesReflector();
  KubernetesReflector(const KubernetesReflector&) = delete;
  KubernetesReflector& operator=(const KubernetesReflector&) = delete;

  const KubernetesResource& resource() const { return resource_; }

  // Whether it is known what there is: the kind has been listed once, is not installed, or may not
  // be read. Any thread may call these.
  bool Settled() const;
  // What keeps it from following the kind now; OK if nothing does. `since` is when that began.
  absl::Status Trouble(absl::Time& since) const;
  std::vector<weft::v1::Finding> ObjectFindings() const { return objects_.Findings(); }

  // Begins to end the thread, without waiting for it.
  void Stop() { stop_.Cancel(); }

 private:
  // How a step of the story ended. Not OK: `status` says why, to be tried again after a while, and
  // not before `retry_after`.
  struct Outcome {
    absl::Status status;
    absl::Duration retry_after = absl::ZeroDuration();
  };

  void Run();
  // Looks for the kind in the API, reads all of its objects, by whichever way the server offers.
  Outcome List();
  Outcome FindVersion();
  Outcome StreamingList();
  Outcome PagedList();
  // Follows changes from resource_version_ on, until the server ends the watch.
  Outcome Watch();

  // Nothing of the kind is installed.
  Outcome Absent();
  // An answer that is no success, or none at all.
  Outcome Refused(const absl::StatusOr<kubernetes::Response>& response, std::string_view verb);
  Outcome RefusedByEvent(std::string_view status_object, std::string_view verb);
  Outcome Malformed(const absl::Status& status, std::string_view verb);
  void Listed(std::string_view object);
  void Changed(std::string_view object);
  // What is known is what there is, as of now.
  void UpToDate();
  // Waits as long as the outcome makes advisable.
  void Pause(const Outcome& outcome);

  std::string Path(std::string_view query) const;
  std::string ApiVersion() const { return resource_.ApiVersion(version_); }

  kubernetes::Client& client_;
  const KubernetesResource& resource_;
  const KubernetesTiming timing_;
  Metrics& metrics_;
  const std::string label_;  // of the kind, in metrics: "Pod"
  KubernetesObjects objects_;
  kubernetes::Backoff backoff_;
  kubernetes::Cancellation stop_;

  // Of the thread.
  std::string version_;           // served by the server; empty: to be found
  std::string resource_version_;  // where to go on watching; empty: list first
  bool streaming_ = true;         // the server may know streaming lists
  absl::BitGen random_;
  int times_absent_ = 0;                      // in a row
  absl::Time listed_ = absl::InfinitePast();  // when last

  mutable absl::Mutex mutex_;
  bool settled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status trouble_ ABSL_GUARDED_BY(mutex_);
  absl::Time trouble_since_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_KUBERNETES_REFLECTOR_H_
