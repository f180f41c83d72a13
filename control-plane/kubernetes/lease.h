// One candidate for a Lease (coordination.k8s.io/v1), by the rules of Kubernetes' own components.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_LEASE_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_LEASE_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"

namespace weft::cluster {

// A moment on the machine's clock that runs evenly, also while it sleeps, and that nobody sets
// (CLOCK_BOOTTIME). Only differences mean something.
using SteadyTime = absl::Duration;
SteadyTime SteadyNow();
using SteadyClock = std::function<SteadyTime()>;

struct LeaseOptions {
  std::string name_space = "weft-system";
  std::string name = "weft-control-plane";
  std::string identity = {};  // of this candidate; no other may have it
  // A holder that was not seen to renew for so long is taken for dead. Whole seconds, 1 at least.
  absl::Duration duration = absl::Seconds(15);

  // How often to renew or to look, and for how long after a renewal one acts as the leader. The
  // rest of the duration is the safety margin: nobody takes over before it is up.
  absl::Duration retry() const { return duration * 2 / 15; }
  absl::Duration deadline() const { return duration * 2 / 3; }
};

// Tries for the Lease and holds it. Two candidates never are leaders at one time: a leader stops by
// its own clock, counted from before the renewal was sent, before any other may take over, counted
// from when that one has seen the renewal.
//
// Attempt and Release are for one thread; IsLeader may be asked by any.
class LeaseCandidate {
 public:
  // `client` must outlive it. `clock` is asked by every thread that asks IsLeader.
  LeaseCandidate(kubernetes::Client& client, LeaseOptions options, SteadyClock clock = SteadyNow);

  // Looks at the Lease, and takes or renews it if it may. OK also if somebody else holds it. An
  // error is the API server's, or that it could not be asked; whoever was the leader still is until
  // its time is up, or until the server has said that another is.
  absl::Status Attempt(const kubernetes::Cancellation* cancellation = nullptr);

  // Gives the Lease up if it is held, so that another may take it at once.
  absl::Status Release();

  bool IsLeader() const;

  // Who holds it as far as is known; empty: nobody.
  std::string Holder() const;

 private:
  absl::Status Renew(const kubernetes::Cancellation* cancellation);
  absl::Status LookAndTake(const kubernetes::Cancellation* cancellation);
  absl::Status Create(const kubernetes::Cancellation* cancellation);
  absl::Status Take(const kubernetes::Cancellation* cancellation);
  // Sends the Lease; if the server took it, remembers its answer and until when it makes us leader.
  absl::Status Put(const nlohmann::json& lease, const kubernetes::Cancellation* cancellation);
  // The server has answered with the Lease to what was sent at `sent`.
  absl::Status Taken(const std::string& body, SteadyTime sent);
  absl::StatusOr<kubernetes::Response> Call(kubernetes::Request request,
                                            const kubernetes::Cancellation* cancellation) const;
  absl::Status Observe(const std::string& body);
  bool Expired() const;
  bool IsOurs() const;
  void LeadUntil(SteadyTime time);
  std::string Path() const;
  std::string Resource() const;

  kubernetes::Client& client_;
  const LeaseOptions options_;
  const SteadyClock clock_;
  nlohmann::json lease_;            // as last seen, null: never
  SteadyTime seen_ = SteadyTime();  // when the record in it was first seen

  mutable absl::Mutex mu_;
  SteadyTime leader_until_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  std::string holder_ ABSL_GUARDED_BY(mu_);
};

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_LEASE_H_
