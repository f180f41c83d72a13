#include "sidecar/proxy/relay.h"

#include "sidecar/io/buffer.h"
#include "sidecar/io/join.h"
#include "sidecar/io/reactor.h"

namespace weft::proxy {
namespace {

using http::Incoming;
using io::IoResult;

constexpr size_t kTcpReadBytes = 16 * 1024;

io::Nanos After(io::Nanos span) { return io::Reactor::Current()->now() + span; }

// For a second event to wait for: the first one again if there is none.
io::Event& OrElse(io::Event* event, http::Incoming& from) {
  return event == nullptr ? from.readable() : *event;
}

// One direction of a TCP relay and what both share.
struct TcpRelay {
  io::Nanos idle;
  io::Nanos last_byte;
  bool failed = false;
};

io::Task<void> RelayDirection(io::Stream& from, io::Stream& to, TcpRelay& shared, uint64_t* total) {
  io::Buffer buffer;
  const auto give_up = [&] {
    shared.failed = true;
    // Wakes the other direction too: both share these streams.
    from.ResetOnClose();
    to.ResetOnClose();
    from.readable().Notify();
    from.writable().Notify();
    to.readable().Notify();
    to.writable().Notify();
  };
  // True: try again; false: the relay is over.
  const auto still_alive = [&](const io::Event* woken) {
    if (shared.failed) return false;
    return woken != nullptr || io::Reactor::Current()->now() - shared.last_byte < shared.idle;
  };
  for (;;) {
    const IoResult read = from.Read(buffer.Room(kTcpReadBytes).first(kTcpReadBytes));
    if (read.would_block()) {
      buffer.Release();
      const io::Event* woken = co_await Wait(from.readable(), shared.last_byte + shared.idle);
      if (still_alive(woken)) continue;
      if (!shared.failed) give_up();
      co_return;
    }
    if (read.failed() || shared.failed) {
      if (!shared.failed) give_up();
      co_return;
    }
    if (read.end()) break;
    buffer.Commit(read.bytes);
    *total += read.bytes;
    shared.last_byte = io::Reactor::Current()->now();
    // All of it, before more is read: this is the back-pressure.
    for (;;) {
      IoResult written = buffer.empty() ? to.Flush() : to.Write(buffer.bytes());
      if (written.ok()) {
        if (buffer.empty()) break;
        buffer.Consume(written.bytes);
        shared.last_byte = io::Reactor::Current()->now();
        continue;
      }
      if (written.failed()) {
        if (!shared.failed) give_up();
        co_return;
      }
      const io::Event* woken = co_await Wait(to.writable(), shared.last_byte + shared.idle);
      if (!still_alive(woken)) {
        if (!shared.failed) give_up();
        co_return;
      }
    }
  }
  to.ShutdownWrite();
  if (!co_await io::FlushAll(to, After(shared.idle)) && !shared.failed) give_up();
}

}  // namespace

io::Task<BodyOutcome> RelayBody(http::Incoming& from, http::Outgoing& to, BodyLimits limits,
                                uint64_t* bytes) {
  const auto stopped = [&] { return limits.stop != nullptr && *limits.stop; };
  // Bytes that bring the body no further, of a chunk's line or of trailers, count for nothing.
  io::Nanos own = 0;
  io::Nanos& moved = limits.moved == nullptr ? own : *limits.moved;
  moved = io::Reactor::Current()->now();
  const auto idle = [&] { return io::Reactor::Current()->now() - moved >= limits.idle; };
  for (;;) {
    if (stopped()) co_return BodyOutcome::kStopped;
    const Incoming::Piece piece = from.Peek();
    switch (piece.state) {
      case Incoming::State::kData: {
        if (piece.data.size() > limits.max_bytes - *bytes) co_return BodyOutcome::kTooLarge;
        const size_t n = to.Write(piece.data);
        if (to.write_failed()) co_return BodyOutcome::kSinkFailed;
        if (n > 0) {
          *bytes += n;
          from.Consume(n);
          moved = io::Reactor::Current()->now();
        } else if (co_await Wait(to.writable(), moved + limits.idle) == nullptr && idle()) {
          co_return BodyOutcome::kIdle;
        }
        break;
      }
      case Incoming::State::kWouldBlock:
        to.Flush();
        if (to.write_failed()) co_return BodyOutcome::kSinkFailed;
        // What the sink could not take yet must get out even if the source stays silent, and a sink
        // that breaks off must not be noticed only when the source speaks again.
        if (co_await Wait(from.readable(),
                          OrElse(to.flushed() ? to.broken() : &to.writable(), from),
                          moved + limits.idle) == nullptr &&
            idle()) {
          co_return BodyOutcome::kIdle;
        }
        break;
      case Incoming::State::kFailed:
        co_return BodyOutcome::kSourceFailed;
      case Incoming::State::kEnd:
        to.End(from.trailers());
        to.Flush();
        while (!to.flushed() && !to.write_failed() && !stopped()) {
          if (co_await Wait(to.writable(), After(limits.idle)) == nullptr) {
            co_return BodyOutcome::kIdle;
          }
          to.Flush();
        }
        co_return to.write_failed() ? BodyOutcome::kSinkFailed : BodyOutcome::kComplete;
    }
  }
}

io::Task<TcpTotals> RelayTcp(io::Stream& a, io::Stream& b, io::Nanos idle) {
  TcpTotals totals;
  TcpRelay shared{.idle = idle, .last_byte = io::Reactor::Current()->now()};
  co_await io::Both(RelayDirection(a, b, shared, &totals.up),
                    RelayDirection(b, a, shared, &totals.down));
  totals.failed = shared.failed;
  co_return totals;
}

}  // namespace weft::proxy
