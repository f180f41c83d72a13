// The body of a request that may have to be sent a second time.
#ifndef WEFT_SIDECAR_PROXY_REPLAY_H_
#define WEFT_SIDECAR_PROXY_REPLAY_H_

#include <cstddef>
#include <span>

#include "sidecar/http/message.h"
#include "sidecar/io/buffer.h"

namespace weft::proxy {

// Passes a body on and keeps a copy of its beginning, up to one block of the buffers' pool, until
// Forget(). What is longer than that passes through as if nobody kept it. One coroutine at a time;
// the source outlives it.
class Replay final : public http::Incoming {
 public:
  static constexpr size_t kMaxBytes = io::Buffer::kBlockBytes;

  explicit Replay(http::Incoming& from) : from_(from) {}

  // Everything that was passed on is here still.
  bool at_hand() const { return keeping_ || kept_.size() == passed_; }
  // Begins again with the first byte. Only while it is at hand.
  void Rewind() { at_ = 0; }
  // It will not be needed again.
  void Forget();

  Piece Peek() override;
  void Consume(size_t n) override;
  io::Event& readable() override { return from_.readable(); }
  const http::Headers& trailers() const override { return from_.trailers(); }

 private:
  http::Incoming& from_;
  io::Buffer kept_;
  size_t at_ = 0;      // where a repetition stands; at the end of kept_: it has caught up
  size_t passed_ = 0;  // bytes taken off the source
  bool keeping_ = true;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_REPLAY_H_
