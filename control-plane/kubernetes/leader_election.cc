#include "control-plane/kubernetes/leader_election.h"

#include <utility>

#include "absl/random/random.h"
#include "base/log.h"

namespace weft::cluster {
namespace {

constexpr double kJitter = 1.2;  // candidates that wait do not look in step

}  // namespace

LeaderElection::LeaderElection(kubernetes::Client& client, LeaseOptions options, Listener listener)
    : options_(options), listener_(std::move(listener)), candidate_(client, std::move(options)) {
  thread_ = std::thread([this] { Run(); });
}

LeaderElection::~LeaderElection() { Resign(); }

void LeaderElection::Resign() {
  ended_.Cancel();
  if (thread_.joinable()) thread_.join();
}

void LeaderElection::Run() {
  absl::BitGen random;
  while (!ended_.cancelled()) {
    Attempt();
    Follow();
    absl::Duration wait = options_.retry();
    if (!led_) wait *= absl::Uniform(random, 1.0, kJitter);
    ended_.Sleep(wait);
  }
  if (const absl::Status released = candidate_.Release(); !released.ok()) {
    WEFT_LOG_WARN("leadership could not be released: {}", released.ToString());
  }
  Follow();
}

void LeaderElection::Attempt() {
  const absl::Status status = candidate_.Attempt(&ended_);
  if (status.ok() || ended_.cancelled()) {
    last_error_.clear();
    return;
  }
  const std::string error = status.ToString();
  if (error == last_error_) return;
  WEFT_LOG_WARN("leader election: {}", error);
  last_error_ = error;
}

void LeaderElection::Follow() {
  const bool leads = IsLeader();
  const std::string holder = candidate_.Holder();
  if (leads != led_) {
    if (leads) {
      WEFT_LOG_INFO("this replica leads: {}", options_.identity);
    } else {
      WEFT_LOG_INFO("this replica no longer leads: {}", options_.identity);
    }
    led_ = leads;
    if (listener_) listener_(leads);
  } else if (!leads && !holder.empty() && holder != followed_) {
    WEFT_LOG_INFO("replica {} leads", holder);
  }
  followed_ = holder;
}

}  // namespace weft::cluster
