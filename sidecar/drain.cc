#include "sidecar/drain.h"

#include "base/log.h"
#include "sidecar/io/event.h"
#include "sidecar/io/reactor.h"

namespace weft {
namespace {

using Number = std::function<size_t(const proxy::Worker&)>;

constexpr io::Nanos kLookAgain = 20 * io::kMillisecond;

size_t Inbound(const proxy::Worker& worker) { return worker.inbound.size(); }
size_t Outbound(const proxy::Worker& worker) { return worker.outbound.size(); }
size_t All(const proxy::Worker& worker) { return worker.connections(); }

// The sum over all workers.
io::Task<size_t> Count(const Workers& workers, Number number) {
  struct Total {
    size_t answers = 0;
    size_t connections = 0;
    io::Event answered;
  };
  auto total = std::make_shared<Total>();
  io::Reactor* main = io::Reactor::Current();
  PostToAll(workers, [total, main, number](proxy::Worker& worker) {
    main->Post([total, connections = number(worker)] {
      ++total->answers;
      total->connections += connections;
      total->answered.Notify();
    });
  });
  while (total->answers < workers.size()) co_await Wait(total->answered);
  co_return total->connections;
}

// Waits until none is left, or the deadline; returns how many are left.
io::Task<size_t> AwaitNone(const Workers& workers, Number number, io::Nanos deadline) {
  size_t left = co_await Count(workers, number);
  while (left > 0 && io::MonotonicNow() < deadline) {
    co_await io::Sleep(io::MonotonicNow() + kLookAgain);
    left = co_await Count(workers, number);
  }
  co_return left;
}

}  // namespace

void PostToAll(const Workers& workers, const std::function<void(proxy::Worker&)>& work) {
  for (const std::unique_ptr<proxy::Worker>& worker : workers) {
    worker->reactor.Post([worker = worker.get(), work] { work(*worker); });
  }
}

io::Task<void> Drain(const Flags& flags, const Workers& workers) {
  co_await io::Sleep(io::MonotonicNow() + flags.drain_delay);
  PostToAll(workers, [](proxy::Worker& worker) { worker.DrainInbound(); });
  const io::Nanos deadline = io::MonotonicNow() + flags.drain_timeout;
  const size_t inbound = co_await AwaitNone(workers, &Inbound, deadline);
  PostToAll(workers, [](proxy::Worker& worker) { worker.DrainOutbound(); });
  const size_t outbound = co_await AwaitNone(workers, &Outbound, deadline);
  if (inbound + outbound > 0) {
    WEFT_LOG_WARN("{} inbound and {} outbound connections did not finish in time", inbound,
                  outbound);
  }
}

io::Task<void> FinishForSuccessor(const Flags& flags, const Workers& workers,
                                  replace::Successor& successor) {
  io::Reactor* main = io::Reactor::Current();
  const auto give = [main, &successor](proxy::Direction direction, int fd) {
    main->Post([&successor, direction, fd] {
      successor.Give(direction == proxy::Direction::kOutbound ? replace::Role::kOutbound
                                                              : replace::Role::kInbound,
                     replace::Descriptor(fd));
    });
  };
  PostToAll(workers, [give](proxy::Worker& worker) { worker.Retire(give); });
  const io::Nanos deadline = io::MonotonicNow() + flags.drain_timeout;
  const size_t left = co_await AwaitNone(workers, &All, deadline);
  if (left > 0) WEFT_LOG_WARN("{} connections did not finish in time", left);
  while (!successor.up_to_date()) co_await io::Sleep(io::MonotonicNow() + kLookAgain);
}

}  // namespace weft
