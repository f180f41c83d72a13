// HTTP/2 connections (RFC 9113): many exchanges over one stream of bytes.
//
// A session belongs to one thread and one reactor. It reads as data comes; it writes once per turn
// of the reactor, whatever many exchanges have put into it, in as few records and system calls as
// they fit in.
//
// Ownership: the owner keeps a session at least until Run() has returned. Exchanges may outlive
// Run() and even the session: then they fail (write_failed(), Incoming::State::kFailed) and may be
// destroyed at any time.
//
// Upgrades: a GET with RequestHead::upgrade travels as an extended CONNECT (RFC 8441) and arrives
// as it was. Its has_body is false on both sides; the bytes of both directions follow a response
// with status 101, whose has_body is true where it arrives. Any other status is an ordinary
// response.
#ifndef WEFT_SIDECAR_HTTP_H2_SESSION_H_
#define WEFT_SIDECAR_HTTP_H2_SESSION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sidecar/http/h2/closed_streams.h"
#include "sidecar/http/h2/frame_headers.h"
#include "sidecar/http/h2/rate_guard.h"
#include "sidecar/http/message.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/event.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"
#include "sidecar/io/timer.h"

extern "C" {
struct nghttp2_session;
}

namespace weft::http::h2 {

// What a session grants its peer and puts up with. Every limit is per connection unless it says
// otherwise.
struct Limits {
  // Streams that the peer may have open at once, and that we open at most, whatever the peer would
  // allow.
  uint32_t max_concurrent_streams = 1000;
  // Streams in all that a client opens before it drains the connection: their numbers are not
  // endless.
  uint32_t max_streams = 1'000'000'000;

  // Bytes of one body that may wait to be consumed. A body that is consumed gets a wider window
  // step by step, as long as all windows together are wider than at first by no more than
  // `widened_bytes`: that many bytes, and every stream's first window, bound the memory that slow
  // readers hold. None of it is taken from the others, whose windows are their own. At least
  // 65,535; at most 2^31 - 1.
  uint32_t first_window_bytes = 64 * 1024;
  uint32_t stream_window_bytes = 256 * 1024;
  size_t widened_bytes = 4 * 1024 * 1024;
  // Bytes of all bodies in flight to us.
  uint32_t connection_window_bytes = 1024 * 1024;

  // Of one head or one set of trailers, counted as RFC 9113 section 6.5.2 does. A request beyond is
  // answered with 431, a response beyond is an error.
  uint32_t max_header_bytes = 64 * 1024;
  uint32_t max_header_count = 200;

  // Frames that cost the sender nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA,
  // unknown ones) beyond those that go with exchanges, and streams that the peer breaks off or
  // makes us break off beyond those that complete. More than that closes the connection with
  // ENHANCE_YOUR_CALM.
  Rate free_frames = {.burst = 10'000, .per_second = 1'000};
  Rate broken_streams = {.burst = 1'000, .per_second = 200};

  // Drained after so long without an exchange.
  io::Nanos idle = 300 * io::kSecond;
  // A head that is begun must end within this.
  io::Nanos head = 10 * io::kSecond;
  // A peer that has been silent for so long is sent a PING, and given up if nothing comes within
  // the second.
  // (kNever: do without. Some servers, gRPC's among them, take PINGs during long silent calls for
  // abuse.)
  io::Nanos ping_after = 20 * io::kSecond;
  io::Nanos ping_timeout = 10 * io::kSecond;
  // A peer that takes no byte of what is to be written for so long is given up.
  io::Nanos write_stall = 30 * io::kSecond;
};

class Stream;
struct Callbacks;

// What is said of a peer that has spent Limits::free_frames, and Limits::broken_streams.
inline constexpr std::string_view kTooManyFree =
    "the peer floods the connection with frames that carry nothing";
inline constexpr std::string_view kTooManyBroken = "the peer breaks off too many streams";

// What both sides have in common.
class Session : private io::EndOfTurn {
 public:
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() override;

  // The connection's life: ends when it has ended, for whatever reason, and closes the stream.
  // Once.
  io::Task<void> Run();

  // No new exchanges; the connection ends when those that are open have (RFC 9113 section 6.8). A
  // server goes on serving requests that were on their way when its peer learnt of it.
  void Drain();
  bool draining() const { return draining_; }

  // Ends the connection now: open exchanges fail, with `reason` as their error.
  void Close(std::string_view reason);

  // True from the moment when the connection is beyond use, which is before Run() returns.
  bool closed() const { return closed_; }

  // Exchanges that occupy a stream.
  size_t active() const { return active_; }

  // Why the connection was ended by an error of either side, in words; empty if it was not.
  const std::string& error() const { return error_; }

  // What the peer was told when it had violated the protocol or asked too much, "PROTOCOL_ERROR"
  // for example; empty if it has not.
  std::string_view violation() const;

  // Bytes of bodies that came in and wait to be consumed.
  size_t unconsumed_bytes() const { return unconsumed_bytes_; }

  // ---- For the session's streams and nghttp2's callbacks; of no interest to users.
  nghttp2_session* nghttp2() const { return nghttp2_; }
  const Limits& limits() const { return limits_; }
  void ScheduleWrite() { reactor_->AtEndOfTurn(this); }
  void Link(Stream* stream);
  void Unlink(Stream* stream);
  void OnHeld() { ++handles_; }
  void OnReleased() { --handles_; }
  void OnStreamClosed(const Stream& stream);
  void OnConsumed(Stream* stream, size_t bytes);
  // Of a stream when it is opened.
  uint32_t first_window_bytes() const {
    return std::min(limits_.first_window_bytes, limits_.stream_window_bytes);
  }
  // The peer takes extended CONNECT, or has not said yet whether it does.
  bool PeerTakesUpgrades() const;
  // What the peer takes of one head, counted as Limits::max_header_bytes.
  size_t MaxHeadBytes() const;

 protected:
  Session(std::unique_ptr<io::Stream> transport, const Limits& limits, bool server);

  // Something about capacity or life has changed.
  virtual void OnChange() {}
  // A request's head is complete.
  virtual void OnRequest(Stream* stream) {}
  void Receive(std::span<const uint8_t> bytes);
  // A request was malformed or too large, and has been refused.
  virtual void OnRefused() {}

  bool peer_closed() const { return transport_ == nullptr || transport_->peer_closed(); }

  const Limits limits_;
  const bool server_;

 private:
  friend struct Callbacks;

  // Looks after the connection's life: idleness, silence, stalls.
  class Watch final : public io::Timer {
   public:
    explicit Watch(Session* session) : session_(session) {}

   private:
    void OnExpired() override { session_->OnWatch(); }
    Session* const session_;
  };

  io::Nanos now() const { return reactor_->now(); }

  // What comes in.
  void ReadAvailable();
  void Feed(std::span<const uint8_t> bytes);
  // For HEADERS and DATA that come in. False if it is a violation that ends the connection.
  bool CheckOpen(int32_t stream_id);
  void OnHead(Stream* stream, bool end_stream);
  void OnDataArrived(size_t bytes, bool wanted);
  void OnPingAnswered(std::span<const uint8_t> opaque_data);
  void OnPeerSettings();
  void OnGoaway(uint32_t error_code, std::string_view debug_data);
  void Widen(Stream* stream);

  // What goes out.
  void OnEndOfTurn() override;
  void WritePending();
  bool FillRecord();
  size_t RecordRoom() const;
  // False if the record has no room for it.
  bool AppendFrame(std::span<const uint8_t> header, std::span<const uint8_t> payload);
  void OnGoawaySent(uint32_t error_code);
  void OnBlocked();

  // How it ends.
  void OnWatch();
  void SendFinalGoaway();
  void Violation(std::string_view what, uint32_t error_code);
  void Fail(std::string_view why);
  bool Finished() const;
  io::Task<void> Linger();

  io::Reactor* const reactor_;
  std::unique_ptr<io::Stream> transport_;
  nghttp2_session* nghttp2_ = nullptr;
  Stream* streams_ = nullptr;
  Stream* block_stream_ = nullptr;  // whose block of fields came in last, if it is open
  io::Event wake_;
  Watch watch_;

  io::Buffer in_;
  io::Buffer out_;  // whole frames that the transport has not taken yet
  size_t active_ = 0;
  size_t handles_ = 0;  // exchanges in the hands of users
  size_t unconsumed_bytes_ = 0;
  size_t withheld_bytes_ = 0;  // of the connection's window; at most unconsumed_bytes_
  size_t widened_bytes_ = 0;   // of all streams' windows
  RateGuard free_frames_;
  RateGuard broken_streams_;
  ClosedStreams closed_streams_;  // of a server
  FrameHeaders frames_;           // that come in

  bool closed_ = false;
  bool draining_ = false;
  bool busy_ = false;         // inside nghttp2
  bool failing_ = false;      // to be failed as soon as nghttp2 has returned
  bool read_paused_ = false;  // to let others run
  bool read_ended_ = false;
  bool write_blocked_ = false;  // the transport takes nothing until writable()
  bool write_failed_ = false;
  bool settings_seen_ = false;
  bool ping_sent_ = false;
  bool final_goaway_sent_ = false;
  io::Nanos last_read_;
  io::Nanos last_write_;
  io::Nanos last_active_;
  io::Nanos ping_at_ = 0;
  io::Nanos drain_began_ = 0;
  io::Nanos head_began_ = io::kNever;  // of the block of fields that is coming in
  std::string error_;
  std::string last_invalid_;
  uint32_t violation_code_ = 0;
};

// The side that sends requests.
class ClientSession final : public Session {
 public:
  static std::unique_ptr<ClientSession> Create(std::unique_ptr<io::Stream> transport,
                                               const Limits& limits = {});

  // A new exchange, to be filled by Send(). Null if CanOpen() is false.
  std::unique_ptr<ClientExchange> Open();

  // There is room for one more exchange: the peer allows it, and neither side is ending the
  // connection.
  bool CanOpen() const;

  // Called when CanOpen() has become true or false, and when the connection has closed; not from
  // inside Open(). It must not destroy the session.
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }

 private:
  using Session::Session;
  void OnChange() override;

  std::function<void()> on_change_;
  bool could_open_ = true;
  uint32_t opened_ = 0;
};

// The side that receives requests.
class ServerSession final : public Session {
 public:
  using OnRequestFunction = std::function<void(std::unique_ptr<ServerExchange>)>;

  // `on_request` is called with every request as soon as its head is complete, while Run() reads;
  // it typically spawns a coroutine. It must not destroy the session.
  static std::unique_ptr<ServerSession> Create(std::unique_ptr<io::Stream> transport,
                                               const Limits& limits, OnRequestFunction on_request);

  // Called when a request has been refused without `on_request`: it was malformed, and reset, or
  // too large, and answered with 431. It must not destroy the session.
  void set_on_refused(std::function<void()> on_refused) { on_refused_ = std::move(on_refused); }

  // For a connection that HTTP/1.1 has upgraded (RFC 7540 section 3.2), before Run(): `request`,
  // which has no body, is stream 1. `settings` is the payload of HTTP2-Settings; false, and nothing
  // has happened, if it is malformed. `unread` is what has come behind the request.
  bool TakeUpgrade(const RequestHead& request, std::span<const uint8_t> settings,
                   std::span<const uint8_t> unread);

 private:
  using Session::Session;
  void OnRequest(Stream* stream) override;
  void OnRefused() override;

  OnRequestFunction on_request_;
  std::function<void()> on_refused_;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_SESSION_H_
