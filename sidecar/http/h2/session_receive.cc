// What a session does with the bytes that come in.
#include <algorithm>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "nghttp2/nghttp2.h"
#include "sidecar/http/h2/held_bytes.h"
#include "sidecar/http/h2/server_stream.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/stream.h"

namespace weft::http::h2 {
namespace {

using io::IoResult;

// The bytes of one read, and how many reads may follow each other before others have their turn.
constexpr size_t kReadBytes = io::Buffer::kBlockBytes;
constexpr int kReadsPerTurn = 4;
// Frames that wait in nghttp2 while the peer does not read: answers to what it sends. Each exchange
// has a few.
constexpr size_t kQueuedFramesPerStream = 8;

uint32_t CodeOf(int nghttp2_error) {
  switch (nghttp2_error) {
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_SETTINGS:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
      return NGHTTP2_ENHANCE_YOUR_CALM;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return NGHTTP2_PROTOCOL_ERROR;
    default:
      return NGHTTP2_INTERNAL_ERROR;
  }
}

}  // namespace

void Session::ReadAvailable() {
  read_paused_ = false;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const std::span<uint8_t> room = in_.Room(kReadBytes).first(kReadBytes);
    const IoResult result = transport_->Read(room);
    if (!result.ok()) {
      in_.Release();
      if (result.would_block()) {
        if (write_failed_) read_ended_ = true;
        return;
      }
      read_ended_ = true;
      if (result.failed() && error_.empty()) error_ = transport_->error();
      return;
    }
    last_read_ = now();
    ping_sent_ = false;
    Receive(room.first(result.bytes));
    if (closed_) break;
  }
  in_.Release();
  // Others run now, what was caused is written, and then it goes on.
  read_paused_ = true;
  ScheduleWrite();
}

void Session::Receive(std::span<const uint8_t> bytes) {
  // nghttp2 says nothing of DATA on streams that are gone: a server looks for it itself, when what
  // came before has been taken in.
  size_t fed = 0;
  for (size_t at = 0; server_ && at < bytes.size();) {
    at += frames_.Advance(bytes.subspan(at));
    if (!frames_.complete() || frames_.type() != NGHTTP2_DATA) continue;
    const size_t begin = std::max(at, fed + FrameHeaders::kBytes) - FrameHeaders::kBytes;
    Feed(bytes.subspan(fed, begin - fed));
    fed = begin;
    if (closed_ || !CheckOpen(frames_.stream_id())) return;
  }
  Feed(bytes.subspan(fed));
}

void Session::Feed(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  busy_ = true;
  const ssize_t taken = nghttp2_session_mem_recv(nghttp2_, bytes.data(), bytes.size());
  busy_ = false;
  if (failing_) {
    Fail(error_);
  } else if (taken < 0) {
    const int error = static_cast<int>(taken);
    Violation(nghttp2_strerror(error), CodeOf(error));
  } else if (write_blocked_ && nghttp2_session_get_outbound_queue_size(nghttp2_) >
                                   kQueuedFramesPerStream * limits_.max_concurrent_streams) {
    Violation("the peer does not read the answers to what it sends", NGHTTP2_ENHANCE_YOUR_CALM);
  }
  ScheduleWrite();
}

// nghttp2 takes every frame on a stream that is gone for one that was underway. It may be a
// violation (RFC 9113 section 5.1).
bool Session::CheckOpen(int32_t stream_id) {
  if (!server_ || stream_id <= 0 || stream_id % 2 == 0 || stream_id > closed_streams_.last() ||
      nghttp2_session_find_stream(nghttp2_, stream_id) != nullptr) {
    return true;
  }
  if (!free_frames_.Spend(now())) {
    Violation(kTooManyFree, NGHTTP2_ENHANCE_YOUR_CALM);
    return false;
  }
  switch (closed_streams_.Judge(stream_id)) {
    case ClosedStreams::Late::kUnderway:
      return true;
    case ClosedStreams::Late::kAfterItsReset:
      if (!broken_streams_.Spend(now())) {
        Violation(kTooManyBroken, NGHTTP2_ENHANCE_YOUR_CALM);
        return false;
      }
      nghttp2_submit_rst_stream(nghttp2_, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_STREAM_CLOSED);
      return true;
    case ClosedStreams::Late::kAfterItsEnd:
      Violation("the peer goes on with a stream that it has ended", NGHTTP2_STREAM_CLOSED);
      return false;
    case ClosedStreams::Late::kOnSkippedNumber:
      Violation("the peer uses a stream's number that it has skipped", NGHTTP2_PROTOCOL_ERROR);
      return false;
  }
  return true;
}

void Session::OnHead(Stream* stream, bool end_stream) {
  const bool first = server_ && !static_cast<ServerStream*>(stream)->head_complete();
  const Verdict verdict = stream->OnFieldsEnd(end_stream);
  if (end_stream) stream->OnIncomingEnd();
  if (verdict == Verdict::kMalformed || (verdict == Verdict::kTooLarge && !server_)) {
    nghttp2_submit_rst_stream(nghttp2_, NGHTTP2_FLAG_NONE, stream->id(), NGHTTP2_PROTOCOL_ERROR);
  } else if (verdict == Verdict::kTooLarge) {
    static_cast<ServerStream*>(stream)->AnswerTooLarge();
  } else if (first) {
    OnRequest(stream);
  }
}

// A stream's own window is returned as its user consumes. The connection's is returned at once, so
// that slow readers do not stop the others; unless all sessions of the thread hold too much.
void Session::OnDataArrived(size_t bytes, bool wanted) {
  if (wanted) {
    unconsumed_bytes_ += bytes;
    AddHeldBytes(bytes);
    if (HoldsTooMuch()) {
      withheld_bytes_ += bytes;
      return;
    }
  }
  nghttp2_session_consume_connection(nghttp2_, bytes);
}

void Session::OnConsumed(Stream* stream, size_t bytes) {
  unconsumed_bytes_ -= bytes;
  RemoveHeldBytes(bytes);
  if (closed_) return;
  // Never more is withheld than waits: when all is consumed, all is returned.
  if (const size_t returned = std::min(bytes, withheld_bytes_); returned > 0) {
    withheld_bytes_ -= returned;
    nghttp2_session_consume_connection(nghttp2_, returned);
    ScheduleWrite();
  }
  if (!stream->open()) return;
  nghttp2_session_consume_stream(nghttp2_, stream->id(), bytes);
  if (stream->HasConsumedWindow(bytes)) Widen(stream);
  ScheduleWrite();
}

// Doubles the window of a stream whose user keeps up with it, within the limits.
void Session::Widen(Stream* stream) {
  const uint32_t window = stream->window_bytes();
  const uint32_t wider =
      window > limits_.stream_window_bytes / 2 ? limits_.stream_window_bytes : 2 * window;
  const uint32_t more = wider - window;
  if (more == 0 || widened_bytes_ + more > limits_.widened_bytes) return;
  if (nghttp2_session_set_local_window_size(nghttp2_, NGHTTP2_FLAG_NONE, stream->id(),
                                            static_cast<int32_t>(wider)) != 0) {
    return;
  }
  stream->set_window_bytes(wider);
  widened_bytes_ += more;
}

void Session::OnPeerSettings() {
  settings_seen_ = true;
  OnChange();
}

void Session::OnGoaway(uint32_t error_code, std::string_view debug_data) {
  if (error_code != NGHTTP2_NO_ERROR && error_.empty()) {
    constexpr size_t kShownBytes = 200;
    error_ = absl::StrCat("the peer ended the connection: ", nghttp2_http2_strerror(error_code));
    if (!debug_data.empty()) {
      absl::StrAppend(&error_, " (", absl::CEscape(ToAbsl(debug_data.substr(0, kShownBytes))), ")");
    }
  }
  draining_ = true;
  OnChange();
}

}  // namespace weft::http::h2
