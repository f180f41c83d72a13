// Which replica of the control plane does what only one may do: status, events, the root's
// rotation.
#ifndef WEFT_CONTROL_PLANE_KUBERNETES_LEADER_ELECTION_H_
#define WEFT_CONTROL_PLANE_KUBERNETES_LEADER_ELECTION_H_

#include <functional>
#include <string>
#include <thread>

#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"
#include "control-plane/kubernetes/lease.h"

namespace weft::cluster {

// Takes part in the election on a thread of its own, from construction to destruction. An API
// server that is away or says no is asked again for ever: until then nobody leads.
class LeaderElection {
 public:
  // Called on the election's thread when this replica has become the leader (true) or has stopped
  // to be it. Should return soon.
  using Listener = std::function<void(bool leader)>;

  // `client` must outlive it; `listener` may be null.
  LeaderElection(kubernetes::Client& client, LeaseOptions options, Listener listener);
  // Resigns.
  ~LeaderElection();
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  // Takes no part any more, and releases the Lease, so that another replica takes over at once.
  // Waits for that, but not for long. For the owner's thread.
  void Resign();

  // Whether this replica may act as the leader at this moment. Any thread may ask, and should
  // before each thing it does. Never true on two replicas at one time.
  bool IsLeader() const { return candidate_.IsLeader(); }

  // Who leads as far as this replica knows; empty: nobody.
  std::string Holder() const { return candidate_.Holder(); }

 private:
  void Run();
  void Attempt();
  // Tells the listener and the log what has changed.
  void Follow();

  const LeaseOptions options_;
  const Listener listener_;
  LeaseCandidate candidate_;
  bool led_ = false;
  std::string followed_;    // the leader that was last spoken of
  std::string last_error_;  // so that the same one is logged once
  kubernetes::Cancellation ended_;
  std::thread thread_;
};

}  // namespace weft::cluster

#endif  // WEFT_CONTROL_PLANE_KUBERNETES_LEADER_ELECTION_H_
