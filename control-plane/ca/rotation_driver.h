// Takes the steps of a rotation of the root as soon as they may be taken, and tells how it stands.
#ifndef WEFT_CONTROL_PLANE_CA_ROTATION_DRIVER_H_
#define WEFT_CONTROL_PLANE_CA_ROTATION_DRIVER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "control-plane/ca/root_keeper.h"
#include "control-plane/ca/rotation.h"

namespace weft::ca {

// Where replicas leave their reports for one another. Called from one thread at a time.
class ReplicaBoard {
 public:
  virtual ~ReplicaBoard() = default;
  virtual absl::Status Publish(const ReplicaReport& own) = 0;
  // Of all replicas that there are, this one among them or not.
  virtual absl::StatusOr<std::vector<ReplicaReport>> Read(absl::Time now) = 0;
};

// How a rotation stands, as this replica knows it.
struct RotationStatus {
  RootDocument document;
  RotationStep step;  // without `next`
  std::vector<ReplicaReport> replicas;
  bool leader = false;
  absl::Status problem;  // of the last round
};

// Thread-safe; Tick is called by one thread.
class RotationDriver {
 public:
  struct Options {
    RotationOptions rotation = {};
    std::string replica = "control-plane";  // this one's name
    std::function<bool()> is_leader = [] { return true; };
    // Fills sidecars, acknowledged and waiting of the own report.
    std::function<void(ReplicaReport&)> count_sidecars = nullptr;
    // Something else that must be done before a new root signs: what it still waits for, in words;
    // empty: nothing.
    std::function<std::string()> before_signing = nullptr;
    ReplicaBoard* board = nullptr;  // null: there is one replica
  };

  // `keeper` and the board must outlive it.
  RotationDriver(RootKeeper& keeper, Options options)
      : keeper_(keeper), options_(std::move(options)) {}

  // One round: reads the document, leaves a report, and, if leading, takes the step that is due.
  // To be called about once a second.
  void Tick(absl::Time now);

  // Announces a new root. Any replica may: the leader goes on from there.
  absl::Status Begin(absl::Time now);

  RotationStatus Status(absl::Time now) const;

 private:
  absl::Status Round(absl::Time now);
  absl::StatusOr<std::vector<ReplicaReport>> Exchange(ReplicaReport own, absl::Time now);
  RotationStep StepOf(const RootDocument& document, const std::vector<ReplicaReport>& replicas,
                      absl::Time now) const;

  RootKeeper& keeper_;
  const Options options_;
  ReplicaReport published_;  // Tick's
  mutable absl::Mutex mu_;
  std::vector<ReplicaReport> replicas_ ABSL_GUARDED_BY(mu_);
  absl::Status problem_ ABSL_GUARDED_BY(mu_);
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_ROTATION_DRIVER_H_
