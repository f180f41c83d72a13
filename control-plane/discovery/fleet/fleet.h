// Thousands of simulated sidecars on one thread, told what to do by lines of text.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_FLEET_FLEET_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_FLEET_FLEET_H_

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "control-plane/discovery/fleet/sidecar.h"

namespace weft::discovery::fleet {

// Not thread-safe. Orders come in as lines, reports go out as lines of JSON; times in reports are
// nanoseconds of CLOCK_MONOTONIC.
//
//   connect              everyone connects            -> {"settled": N, "at": T, ...}
//   drop SECONDS         everyone loses its connection and comes back evenly within so long
//                                                     -> {"settled": N, "at": T, ...}
//   await                                             -> {"settled": N, ...} once that is so
//   watch TYPE NAME MARKER   those that subscribe to the resource wait for a version of it that
//                        contains the text; first how many these are, at last when each of them had
//                        acknowledged it              -> {"watching": N}, {"reached": [T, ...]}
//   counts                                            -> {"received": BYTES, ...}
class Fleet {
 public:
  using Report = std::function<void(const std::string& line)>;

  // Reads who there is: one sidecar on each line, "namespace/pod TYPE=NAME TYPE=NAME ...".
  // InvalidArgument names the line.
  static absl::StatusOr<std::unique_ptr<Fleet>> Create(std::string_view plan, Shared shared,
                                                       Report report);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Takes an order; InvalidArgument if it is none.
  absl::Status Order(std::string_view line);

  // Waits for events, also on `input`, and handles those of sidecars. Returns whether `input` can
  // be read.
  bool Turn(int input);

 private:
  using Due = std::pair<absl::Time, size_t>;  // when, and which sidecar

  Fleet(Shared shared, Report report, int epoll);

  absl::Status Add(std::string_view line);
  void ConnectDue();
  // After whatever may have changed a sidecar's connection or whether it is settled.
  void Follow(size_t sidecar);
  void Drop(absl::Duration spread);
  absl::Status Watch(std::string_view type, std::string_view name, std::string_view marker);
  void ReportSettled();
  void ReportCounts();

  // What epoll knows of a sidecar's connection.
  struct Polled {
    int descriptor = -1;
    uint32_t events = 0;
  };

  Shared shared_;
  const Report report_;
  const int epoll_;
  std::vector<std::unique_ptr<Sidecar>> sidecars_;
  std::vector<Polled> polled_;
  std::vector<bool> settled_;
  size_t settled_count_ = 0;
  bool awaiting_ = false;
  size_t reported_failures_ = 0;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  size_t watching_ = 0;
  std::vector<int64_t> reached_;
};

}  // namespace weft::discovery::fleet

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_FLEET_FLEET_H_
