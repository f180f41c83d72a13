// The sidecar that takes over, as the one that runs sees it. Main reactor only.
#ifndef WEFT_SIDECAR_REPLACE_SUCCESSOR_H_
#define WEFT_SIDECAR_REPLACE_SUCCESSOR_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/io/event.h"
#include "sidecar/io/task.h"
#include "sidecar/replace/channel.h"
#include "sidecar/replace/descriptor.h"
#include "sidecar/replace/protocol.h"

namespace weft::replace {

// One that accepts connections now. Takes the predecessor's idle connections.
class Successor {
 public:
  explicit Successor(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  // Sends the connection; if that cannot be, it is closed.
  void Give(Role role, Descriptor connection);
  // Everything given has been sent.
  bool up_to_date() const { return !sending_; }

 private:
  io::Task<void> SendAll();

  const std::unique_ptr<Channel> channel_;
  std::deque<std::pair<Role, Descriptor>> queue_;
  bool sending_ = false;
};

// Waits for a successor. Outlives its coroutines: it lives until the process ends.
class Succession {
 public:
  struct Hooks {
    // The listening sockets that a successor gets copies of, but for the one where it knocks.
    std::function<std::vector<std::pair<Role, int>>()> sockets;
    // Why nobody may take over now; empty if somebody may.
    std::function<std::string()> refusal;
  };

  Succession(std::unique_ptr<ChannelListener> listener, Hooks hooks)
      : listener_(std::move(listener)), hooks_(std::move(hooks)) {}
  Succession(const Succession&) = delete;
  Succession& operator=(const Succession&) = delete;

  // Takes calls from now on.
  void Start() { io::Spawn(Run()); }

  // Fires when successor() is there. Who knocks later reaches the successor.
  io::Event& arrived() { return arrived_; }
  Successor* successor() const { return successor_.get(); }

 private:
  io::Task<void> Run();
  io::Task<void> Serve(std::unique_ptr<Channel> channel);
  // OK once the other end accepts connections.
  io::Task<absl::Status> HandOver(Channel& channel);

  const std::unique_ptr<ChannelListener> listener_;
  const Hooks hooks_;
  bool busy_ = false;
  std::unique_ptr<Successor> successor_;
  io::Event arrived_;
};

}  // namespace weft::replace

#endif  // WEFT_SIDECAR_REPLACE_SUCCESSOR_H_
