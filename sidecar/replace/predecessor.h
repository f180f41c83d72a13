// The sidecar that runs, as its successor sees it. Main reactor only.
#ifndef WEFT_SIDECAR_REPLACE_PREDECESSOR_H_
#define WEFT_SIDECAR_REPLACE_PREDECESSOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sidecar/io/address.h"
#include "sidecar/io/task.h"
#include "sidecar/replace/channel.h"
#include "sidecar/replace/descriptor.h"
#include "sidecar/replace/protocol.h"

namespace weft::replace {

// The listening sockets that were handed over and nobody has taken yet.
class InheritedSockets {
 public:
  struct Entry {
    Role role;
    io::Address address;
    Descriptor fd;
  };

  InheritedSockets() = default;
  explicit InheritedSockets(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  // One that listens on the address; its descriptor is negative if there is none (left).
  Descriptor Take(Role role, const io::Address& address);
  // The same on whatever address.
  Descriptor Take(Role role);
  // Null if nothing is left.
  const Entry* first() const { return entries_.empty() ? nullptr : &entries_.front(); }

 private:
  std::vector<Entry> entries_;
};

// In this order: Meet(), sockets(), AnnounceReady(), AnnounceAccepting(), NextConnections().
// Destroying it before AnnounceAccepting() leaves the predecessor in service.
class Predecessor {
 public:
  // Errors: NotFound (nobody runs here), FailedPrecondition (it refuses; says why), as Channel.
  static io::Task<absl::StatusOr<std::unique_ptr<Predecessor>>> Meet(std::string name);

  InheritedSockets& sockets() { return sockets_; }

  // From here to AnnounceAccepting() there is nothing to wait for. Errors: FailedPrecondition (it
  // has changed its mind and goes on), Unavailable (it has died), DeadlineExceeded.
  io::Task<absl::Status> AnnounceReady();
  io::Task<absl::Status> AnnounceAccepting();

  struct Connections {
    Role role;
    std::vector<Descriptor> descriptors;
  };
  // Connections that were idle there. Unavailable: it has ended.
  io::Task<absl::StatusOr<Connections>> NextConnections();

 private:
  Predecessor(std::unique_ptr<Channel> channel, InheritedSockets sockets)
      : channel_(std::move(channel)), sockets_(std::move(sockets)) {}

  const std::unique_ptr<Channel> channel_;
  InheritedSockets sockets_;
};

}  // namespace weft::replace

#endif  // WEFT_SIDECAR_REPLACE_PREDECESSOR_H_
