// A connection that carries bytes both ways: plain TCP or TLS.
#ifndef WEFT_SIDECAR_IO_STREAM_H_
#define WEFT_SIDECAR_IO_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "sidecar/io/event.h"
#include "sidecar/io/task.h"

namespace weft::io {

// What a non-blocking read or write came to.
struct IoResult {
  enum class State : uint8_t {
    kOk,          // `bytes` were moved, at least one
    kWouldBlock,  // nothing can be moved now; wait for the event
    kEnd,         // reads: the peer has ended its direction in order
    kFailed,      // the connection is broken; error() of the stream says why
  };
  State state;
  size_t bytes = 0;

  bool ok() const { return state == State::kOk; }
  bool would_block() const { return state == State::kWouldBlock; }
  bool end() const { return state == State::kEnd; }
  bool failed() const { return state == State::kFailed; }
};

// Reads and writes never wait: they do what can be done now. A reader waits for readable(), a
// writer for writable(), only after a call came to kWouldBlock (events tell of changes, not of
// states); one coroutine each. Closed by its destructor. One thread.
class Stream {
 public:
  virtual ~Stream() = default;

  virtual IoResult Read(std::span<uint8_t> into) = 0;

  // May keep some of what it accepted in its own bounded buffer: Flush() when a batch is complete.
  virtual IoResult Write(std::span<const uint8_t> from) = 0;

  // kOk: everything accepted is with the kernel. kWouldBlock: wait for writable() and call again.
  virtual IoResult Flush() = 0;

  // Ends our direction after what was flushed; the peer reads the end. Reading goes on.
  virtual void ShutdownWrite() = 0;

  // Makes the destructor send a reset instead of an orderly end, where the transport can.
  virtual void ResetOnClose() = 0;

  // Fires on data, end and failure.
  virtual Event& readable() = 0;
  virtual Event& writable() = 0;

  // The peer has closed or broken the connection, as far as the kernel has told. Costs no system
  // call.
  virtual bool peer_closed() const = 0;

  // Bytes written to the kernel that the peer's has not acknowledged, also after a failure; 0 where
  // the transport cannot tell.
  virtual size_t unacknowledged_bytes() const { return 0; }

  // Why it failed, in words; empty if it did not.
  virtual std::string error() const = 0;

  // Gives the descriptor away, unwatched, to whoever goes on with the connection; nothing but the
  // destructor may be called afterwards. -1 if bytes or secrets of the connection are held here.
  virtual int Release() { return -1; }
};

// Writes all of `bytes` and flushes. False if the stream failed or the deadline passed. `bytes`
// must stay.
Task<bool> WriteAll(Stream& stream, std::span<const uint8_t> bytes, Nanos deadline = kNever);

// Flushes what the stream holds. False if it failed or the deadline passed.
Task<bool> FlushAll(Stream& stream, Nanos deadline = kNever);

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_STREAM_H_
