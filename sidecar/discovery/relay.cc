#include "sidecar/discovery/relay.h"

#include <utility>

#include "sidecar/io/buffer.h"

namespace weft::discovery {
namespace {

constexpr size_t kPieceBytes = 16 * 1024;

}  // namespace

Relay::Relay(std::unique_ptr<io::Stream> near, std::unique_ptr<io::Stream> far)
    : near_(std::move(near)), far_(std::move(far)) {
  outward_.from = inward_.to = near_.get();
  outward_.to = inward_.from = far_.get();
}

void Relay::Start() {
  running_ = 2;
  io::Spawn(Run(shared_from_this(), &outward_));
  io::Spawn(Run(shared_from_this(), &inward_));
}

void Relay::Cut() {
  cut_ = true;
  outward_.cut.Notify();
  inward_.cut.Notify();
}

io::Task<void> Relay::Run(std::shared_ptr<Relay> self, Direction* direction) {
  const Outcome outcome = co_await self->Pump(direction);
  if (outcome == Outcome::kFailed) self->Cut();
  if (--self->running_ == 0) {
    self->near_.reset();
    self->far_.reset();
  }
}

io::Task<Relay::Outcome> Relay::Pump(Direction* direction) {
  io::Stream& from = *direction->from;
  io::Stream& to = *direction->to;
  io::Buffer buffer;
  bool ended = false;
  while (!cut_) {
    const io::IoResult read = from.Read(buffer.Room(kPieceBytes).first(kPieceBytes));
    if (read.failed()) co_return Outcome::kFailed;
    if (read.would_block()) {
      buffer.Release();
      co_await io::Wait(from.readable(), direction->cut);
      continue;
    }
    if (read.end()) {
      to.ShutdownWrite();
      ended = true;
    } else {
      buffer.Commit(read.bytes);
    }
    while (!buffer.empty()) {
      const io::IoResult written = to.Write(buffer.bytes());
      if (written.failed() || cut_) co_return Outcome::kFailed;
      if (written.ok()) {
        buffer.Consume(written.bytes);
      } else {
        co_await io::Wait(to.writable(), direction->cut);
      }
    }
    for (;;) {
      const io::IoResult flushed = to.Flush();
      if (flushed.failed() || cut_) co_return Outcome::kFailed;
      if (flushed.ok()) break;
      co_await io::Wait(to.writable(), direction->cut);
    }
    if (ended) co_return Outcome::kEnd;
  }
  co_return Outcome::kFailed;
}

}  // namespace weft::discovery
