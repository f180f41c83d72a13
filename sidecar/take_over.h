// Taking over from the sidecar that runs in this pod (--replace). Main reactor only.
#ifndef WEFT_SIDECAR_TAKE_OVER_H_
#define WEFT_SIDECAR_TAKE_OVER_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sidecar/admin/readiness.h"
#include "sidecar/drain.h"
#include "sidecar/flags.h"
#include "sidecar/io/task.h"
#include "sidecar/proxy/worker.h"
#include "sidecar/replace/predecessor.h"
#include "sidecar/replace/successor.h"

namespace weft {

// How a sidecar begins.
struct Start {
  std::unique_ptr<replace::Predecessor> predecessor;  // null: from nothing
  replace::InheritedSockets inherited;                // of the predecessor
  // Where its own successor will knock; null if another user has taken the name.
  std::unique_ptr<replace::ChannelListener> listener;
};

// With --replace, meets the sidecar that runs, if one does; without, makes sure that none does.
// Errors say why this one must not start; whoever runs goes on.
io::Task<absl::StatusOr<Start>> MeetPredecessor(const Flags& flags);

// Shares the inherited sockets out to the workers, and opens what is missing. FailedPrecondition if
// a socket is left over, on which nobody would answer.
absl::Status Listen(const Workers& workers, const proxy::Listeners& listeners,
                    replace::InheritedSockets& inherited);

// What a successor inherits of the workers.
std::vector<std::pair<replace::Role, int>> ListeningSockets(const Workers& workers);

// Waits until everything is there that is needed to serve, calls `accept`, and tells the
// predecessor that it may stop accepting. After an error the predecessor goes on alone; if it has
// died meanwhile, this one serves.
io::Task<absl::Status> TakeOver(replace::Predecessor& predecessor,
                                const admin::Readiness& readiness, io::Nanos timeout,
                                const std::function<void()>& accept);

// Serves what the predecessor gives away, until it has ended.
io::Task<void> TakeConnections(std::unique_ptr<replace::Predecessor> predecessor,
                               const Workers& workers);

}  // namespace weft

#endif  // WEFT_SIDECAR_TAKE_OVER_H_
