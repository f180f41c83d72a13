// One request's place on an endpoint.
#ifndef WEFT_SIDECAR_UPSTREAM_BALANCE_LOAD_H_
#define WEFT_SIDECAR_UPSTREAM_BALANCE_LOAD_H_

#include "sidecar/io/timer.h"
#include "sidecar/upstream/balance/endpoint.h"

namespace weft::upstream {

// Where a ticket that is dropped unsettled reads the time.
using Clock = io::Nanos (*)();

// A ticket: in flight from construction until OnDone(), OnAbort() or destruction, whichever comes
// first; counted once. Holds the endpoint. Moving hands it on; an empty one (nothing was picked) is
// false.
class Load {
 public:
  Load() = default;
  Load(EndpointRef endpoint, io::Nanos now, Clock clock);
  Load(Load&& other) noexcept;
  Load& operator=(Load&& other) noexcept;
  ~Load();

  explicit operator bool() const { return static_cast<bool>(endpoint_); }
  // Not for an empty ticket. Valid as long as the ticket, also after it is settled.
  Endpoint& endpoint() const { return *endpoint_; }
  const EndpointRef& endpoint_ref() const { return endpoint_; }

  // The response head is here (an opaque connection: it is established). Only the first call
  // counts. Leave it out for an answer that speaks for nobody, such as a gateway's quick 503, and
  // end with ok = false.
  void OnHead(io::Nanos now);

  // The end. `ok`: the endpoint did its part, whatever the status it answered with. Not ok: it
  // could not be connected to, broke the connection, or ran into a time limit of ours; it counts
  // towards ejection, and as slow rather than as fast.
  void OnDone(io::Nanos now, bool ok);

  // Given up by the client or by us, through no known fault of the endpoint: never counts as fast;
  // counts as slow if it had already lasted longer than usual. What the destructor does with the
  // clock's time.
  void OnAbort(io::Nanos now);

 private:
  void Settle();
  void CountAsSlow(io::Nanos now);

  EndpointRef endpoint_;
  io::Nanos started_ = 0;
  Clock clock_ = nullptr;
  bool in_flight_ = false;
  bool head_seen_ = false;
  bool on_trial_ = false;
};

}  // namespace weft::upstream

#endif  // WEFT_SIDECAR_UPSTREAM_BALANCE_LOAD_H_
