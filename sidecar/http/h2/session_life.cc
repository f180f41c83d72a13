// How a session lives and ends.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "nghttp2/nghttp2.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/stream.h"

namespace weft::http::h2 {
namespace {

using io::IoResult;

constexpr size_t kReadBytes = io::Buffer::kBlockBytes;
// What a peer may still send after we have said that it is over.
constexpr io::Nanos kLinger = io::kSecond;
constexpr size_t kLingerBytes = 4 * 1024 * 1024;

constexpr uint8_t kDrainPing[8] = {'w', 'e', 'f', 't', 'd', 'r', 'n', 0};

// A GOAWAY frame by hand (RFC 9113 section 6.8), for when nghttp2 is in no state to make one.
void AppendGoaway(int32_t last_stream_id, uint32_t error_code, std::string_view why,
                  io::Buffer* out) {
  const auto number = [](uint8_t* at, uint32_t value) {
    for (int i = 3; i >= 0; --i, value >>= 8) at[i] = static_cast<uint8_t>(value);
  };
  std::array<uint8_t, FrameHeaders::kBytes + 8> frame{};
  frame[2] = static_cast<uint8_t>(8 + why.size());
  frame[3] = NGHTTP2_GOAWAY;
  number(&frame[FrameHeaders::kBytes], static_cast<uint32_t>(last_stream_id));
  number(&frame[FrameHeaders::kBytes + 4], error_code);
  out->Append(frame);
  out->Append(why);
}

}  // namespace

io::Task<void> Session::Run() {
  OnWatch();
  while (!Finished()) {
    ReadAvailable();
    if (Finished()) break;
    if (write_blocked_) {
      io::Event& writable = transport_->writable();
      if (co_await io::Wait(transport_->readable(), writable, wake_) == &writable) {
        write_blocked_ = false;
        WritePending();
      }
    } else {
      co_await io::Wait(transport_->readable(), wake_);
    }
  }
  Fail(error_.empty() ? "the connection has ended" : std::string_view(error_));
  if (!read_ended_ && !write_failed_) co_await Linger();
  watch_.Cancel();
  in_.Release();
  out_.Clear();
  out_.Release();
  transport_.reset();
}

// Everything said, or beyond hope.
bool Session::Finished() const {
  if (closed_ || read_ended_) return true;
  return out_.empty() && !write_blocked_ && nghttp2_session_want_read(nghttp2_) == 0 &&
         nghttp2_session_want_write(nghttp2_) == 0;
}

// Closing a socket that has unread bytes resets the connection, and the peer may lose what we said
// last: says that it is over and waits a little for the peer to have understood.
io::Task<void> Session::Linger() {
  const io::Nanos deadline = reactor_->now() + kLinger;
  while (!out_.empty()) {
    const IoResult result = transport_->Write(out_.bytes());
    if (result.ok()) {
      out_.Consume(result.bytes);
    } else if (!result.would_block() ||
               co_await io::Wait(transport_->writable(), deadline) == nullptr) {
      co_return;
    }
  }
  transport_->ShutdownWrite();
  if (!co_await io::FlushAll(*transport_, deadline)) co_return;
  size_t discarded = 0;
  while (discarded < kLingerBytes) {
    const std::span<uint8_t> room = in_.Room(kReadBytes);
    const IoResult result = transport_->Read(room);
    if (result.ok()) {
      discarded += result.bytes;
    } else if (!result.would_block() ||
               co_await io::Wait(transport_->readable(), deadline) == nullptr) {
      co_return;
    }
  }
}

void Session::Drain() {
  if (draining_ || closed_) return;
  draining_ = true;
  drain_began_ = now();
  if (server_) {
    // The peer learns that it is to go elsewhere, and what it sends until then is still served.
    nghttp2_submit_shutdown_notice(nghttp2_);
    nghttp2_submit_ping(nghttp2_, NGHTTP2_FLAG_NONE, kDrainPing);
  }
  ScheduleWrite();
  OnChange();
}

void Session::OnPingAnswered(std::span<const uint8_t> opaque_data) {
  // By now the peer has read the notice that was sent before.
  if (server_ && draining_ && std::ranges::equal(opaque_data, kDrainPing)) SendFinalGoaway();
}

void Session::SendFinalGoaway() {
  if (final_goaway_sent_) return;
  final_goaway_sent_ = true;
  nghttp2_submit_goaway(nghttp2_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(nghttp2_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  ScheduleWrite();
}

void Session::Close(std::string_view reason) {
  if (closed_ || failing_) return;
  error_ = reason;
  AppendGoaway(nghttp2_session_get_last_proc_stream_id(nghttp2_), NGHTTP2_NO_ERROR, "", &out_);
  if (busy_) {
    failing_ = true;
  } else {
    Fail(error_);
  }
}

void Session::Violation(std::string_view what, uint32_t error_code) {
  if (closed_ || failing_) return;
  error_ = what;
  violation_code_ = error_code;
  AppendGoaway(nghttp2_session_get_last_proc_stream_id(nghttp2_), error_code, what.substr(0, 100),
               &out_);
  if (busy_) {
    failing_ = true;
  } else {
    Fail(error_);
  }
}

// From here on nghttp2 is not asked any more.
void Session::Fail(std::string_view why) {
  if (closed_) return;
  closed_ = true;
  const std::string reason(why);
  while (streams_ != nullptr) streams_->OnSessionEnd(reason);
  wake_.Notify();
  OnChange();
}

void Session::OnWatch() {
  if (closed_) return;
  const io::Nanos t = now();
  if (write_blocked_ && t - last_write_ > limits_.write_stall) {
    error_ = "the peer takes nothing of what is written to it";
    write_failed_ = true;
    return Fail(error_);
  }
  if (head_began_ != io::kNever && t - head_began_ > limits_.head) {
    return Violation("the peer does not end a head that it has begun", NGHTTP2_ENHANCE_YOUR_CALM);
  }
  if (ping_sent_ && t - ping_at_ > limits_.ping_timeout) {
    error_ = "the peer has fallen silent";
    write_failed_ = true;
    return Fail(error_);
  }
  if (active_ > 0 && !ping_sent_ && limits_.ping_after != io::kNever &&
      t - last_read_ > limits_.ping_after) {
    ping_sent_ = true;
    ping_at_ = t;
    nghttp2_submit_ping(nghttp2_, NGHTTP2_FLAG_NONE, nullptr);
    ScheduleWrite();
  }
  if (active_ == 0 && limits_.idle != io::kNever && t - last_active_ > limits_.idle) Drain();
  if (draining_ && server_ && !final_goaway_sent_ && t - drain_began_ > limits_.ping_timeout) {
    SendFinalGoaway();
  }
  const io::Nanos soonest = std::min(
      {limits_.write_stall, limits_.head, limits_.ping_after, limits_.ping_timeout, limits_.idle});
  // Half of it: what is late is noticed before it is half as late again.
  reactor_->timers().Arm(&watch_, t + std::min(soonest, 10 * io::kSecond) / 2);
}

}  // namespace weft::http::h2
