#include "sidecar/http/h2/stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sidecar/http/h2/callbacks.h"
#include "sidecar/http/h2/fields.h"
#include "sidecar/http/h2/session.h"

namespace weft::http::h2 {
namespace {

// What one stream may have waiting to be written: one block of the buffers' pool.
constexpr size_t kMaxOutgoingBytes = io::Buffer::kBlockBytes;
// A block of fields this many times over the limit is no mistake.
constexpr uint64_t kOutrageousFactor = 8;

}  // namespace

Incoming::Piece Stream::Peek() {
  if (!in_.empty()) return {Incoming::State::kData, in_.bytes()};
  if (in_end_) return {Incoming::State::kEnd, {}};
  if (failed_) return {Incoming::State::kFailed, {}};
  readable_.Reset();
  return {Incoming::State::kWouldBlock, {}};
}

void Stream::Consume(size_t n) {
  in_.Consume(n);
  in_.Release();
  if (session_ != nullptr) session_->OnConsumed(this, n);
}

size_t Stream::Write(std::span<const uint8_t> from) {
  if (sending_ != Sending::kBody || write_failed_) return 0;
  const size_t n = std::min(from.size(), kMaxOutgoingBytes - out_.size());
  if (n < from.size()) {
    refused_ = true;
    writable_.Reset();
  }
  if (n == 0) return 0;
  out_.Append(from.first(n));
  ResumeSending();
  return n;
}

void Stream::End(const Headers& trailers) {
  if (sending_ != Sending::kBody || write_failed_) return;
  sending_ = Sending::kEnd;
  has_trailers_out_ = !trailers.empty();
  if (has_trailers_out_) trailers_out_ = trailers;
  ResumeSending();
}

void Stream::ResumeSending() {
  if (deferred_) {
    deferred_ = false;
    nghttp2_session_resume_data(session_->nghttp2(), id_);
  }
  session_->ScheduleWrite();
}

nghttp2_data_provider Stream::BodyProvider() {
  return {.source = {.ptr = this}, .read_callback = &Callbacks::ReadData};
}

ssize_t Stream::NextData(size_t room, uint32_t* flags) {
  const size_t n = std::min(room, out_.size());
  const bool last = sending_ == Sending::kEnd && n == out_.size();
  if (n == 0 && !last) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!last) return static_cast<ssize_t>(n);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (!has_trailers_out_) return static_cast<ssize_t>(n);
  FieldBlock& block = ScratchBlock();
  block.SetTrailers(trailers_out_);
  if (block.size() == 0) return static_cast<ssize_t>(n);
  // A message without its trailers would not be the one that was given.
  if (!block.Fits(session_->MaxHeadBytes()) ||
      nghttp2_submit_trailer(session_->nghttp2(), id_, block.data(), block.size()) != 0) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  return static_cast<ssize_t>(n);
}

void Stream::TakeData(size_t n) {
  out_.Consume(n);
  out_.Release();
  if (refused_ && out_.size() <= kMaxOutgoingBytes / 2) {
    refused_ = false;
    writable_.Notify();
  }
}

void Stream::OnFrameSent(bool end_stream) {
  serialized_ = true;
  if (!end_stream) return;
  sending_ = Sending::kSent;
  // Not earlier: nghttp2 drops what is queued for a stream that it is to reset.
  if (cut_short_ && !in_end_) Reset(NGHTTP2_NO_ERROR);
}

void Stream::Release() {
  held_ = false;
  if (session_ != nullptr) session_->OnReleased();
  if (!in_.empty()) {
    const size_t dropped = in_.size();
    in_.Consume(dropped);
    in_.Release();
    if (session_ != nullptr) session_->OnConsumed(this, dropped);
  }
  if (open_) {
    const bool given = sending_ == Sending::kEnd || sending_ == Sending::kSent;
    if (!given || (!in_end_ && !may_cut_short())) {
      Reset(abandon_code());
    } else {
      CutShort();
    }
  }
  DiscardIfDone();
}

void Stream::Reset(uint32_t error_code) {
  if (!open_ || reset_sent_) return;
  reset_sent_ = true;
  write_failed_ = true;
  if (id_ < 0) {
    // Never given to nghttp2.
    OnClosed(error_code);
    return;
  }
  nghttp2_submit_rst_stream(session_->nghttp2(), NGHTTP2_FLAG_NONE, id_, error_code);
  session_->ScheduleWrite();
}

void Stream::CutShort() {
  if (in_end_ || !open_) return;
  if (sending_ == Sending::kSent) {
    Reset(NGHTTP2_NO_ERROR);
  } else {
    cut_short_ = true;
  }
}

void Stream::MarkHeld() {
  held_ = true;
  session_->OnHeld();
}

void Stream::OnData(std::span<const uint8_t> data) {
  const bool was_empty = in_.empty();
  in_.Append(data);
  if (was_empty) readable_.Notify();
}

void Stream::OnIncomingEnd() {
  in_end_ = true;
  readable_.Notify();
}

void Stream::OnClosed(uint32_t error_code) {
  open_ = false;
  session_->OnStreamClosed(*this);
  if (error_.empty() && error_code != NGHTTP2_NO_ERROR) {
    error_ = absl::StrCat("the stream was reset: ", nghttp2_http2_strerror(error_code));
  }
  if (sending_ != Sending::kSent) {
    write_failed_ = true;
    broken_.Notify();
  }
  if (!in_end_) {
    failed_ = true;
    OnFailed(serialized_ && error_code != NGHTTP2_REFUSED_STREAM);
  }
  readable_.Notify();
  writable_.Notify();
}

void Stream::OnSessionEnd(std::string_view why) {
  if (open_) {
    if (error_.empty()) error_ = why;
    OnClosed(NGHTTP2_NO_ERROR);
  }
  session_->Unlink(this);
  session_ = nullptr;
  DiscardIfDone();
}

Verdict Stream::Count(std::string_view name, std::string_view value) {
  const Limits& limits = session_->limits();
  const uint64_t bytes = uint64_t{block_bytes_} + name.size() + value.size() + kFieldOverhead;
  block_bytes_ = static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX));
  ++block_count_;
  if (bytes > kOutrageousFactor * limits.max_header_bytes ||
      block_count_ > kOutrageousFactor * limits.max_header_count) {
    return Verdict::kOutrageous;
  }
  return bytes > limits.max_header_bytes || block_count_ > limits.max_header_count
             ? Verdict::kTooLarge
             : Verdict::kGood;
}

void Stream::Open(Session* session, int32_t id) {
  session_ = session;
  id_ = id;
  open_ = true;
  window_bytes_ = session->first_window_bytes();
  consumed_bytes_ = 0;
  session->Link(this);
}

void Stream::DiscardIfDone() {
  if (open_ || held_) return;
  if (session_ != nullptr) session_->Unlink(this);
  session_ = nullptr;
  Discard();
}

bool Stream::RecycleBase() {
  // Larger ones are rare; keeping them would pin their memory.
  constexpr size_t kKeptBytes = 8 * 1024;
  if (trailers_in_.bytes() > kKeptBytes || trailers_out_.bytes() > kKeptBytes) return false;
  id_ = -1;
  open_ = held_ = in_end_ = failed_ = write_failed_ = serialized_ = has_trailers_out_ = false;
  deferred_ = refused_ = cut_short_ = reset_sent_ = in_block_ = false;
  sending_ = Sending::kHead;
  trailers_in_.Clear();
  trailers_out_.Clear();
  error_.clear();
  in_.Clear();
  in_.Release();
  out_.Clear();
  out_.Release();
  readable_.Reset();
  writable_.Reset();
  broken_.Reset();
  return true;
}

}  // namespace weft::http::h2
