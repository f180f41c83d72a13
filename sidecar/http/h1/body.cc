#include "sidecar/http/h1/body.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "sidecar/http/h1/hop_fields.h"

namespace weft::http::h1 {
namespace {

using State = Incoming::State;

constexpr size_t kReadBytes = 16 * 1024;
// Pieces up to this size are worth a copy to share a write with their head and their neighbours.
constexpr size_t kGatherBytes = 4 * 1024;
constexpr size_t kMaxGathered = 16 * 1024;

}  // namespace

Reader::Fill Reader::ReadMore() {
  if (stream_ended_ || stream_failed_) return Fill::kEnded;
  const io::IoResult result = stream_->Read(in_.Room(kReadBytes));
  if (result.ok()) {
    in_.Commit(result.bytes);
    return Fill::kMore;
  }
  if (result.would_block()) {
    in_.Release();
    return Fill::kWouldBlock;
  }
  (result.end() ? stream_ended_ : stream_failed_) = true;
  return Fill::kEnded;
}

void Reader::ParseMore() {
  parsed_ += parser_.Parse(in_.bytes().subspan(parsed_));
  if (parser_.body().empty()) {
    in_.Consume(parsed_);
    parsed_ = 0;
  }
}

State Reader::PeekHead() {
  for (;;) {
    if (parser_.failed()) return State::kFailed;
    if (parser_.head_complete()) return State::kData;
    if (has_bytes()) {
      ParseMore();
      continue;
    }
    switch (ReadMore()) {
      case Fill::kMore:
        break;
      case Fill::kWouldBlock:
        return State::kWouldBlock;
      case Fill::kEnded:
        if (!parser_.started() && stream_ended_) return State::kEnd;
        parser_.ParseEnd();
        return State::kFailed;
    }
  }
}

Incoming::Piece Reader::PeekBody() {
  if (tunnel_) return PeekTunnel();
  for (;;) {
    if (!parser_.body().empty()) return {State::kData, parser_.body()};
    if (parser_.message_complete()) return {State::kEnd, {}};
    if (parser_.failed()) return {State::kFailed, {}};
    if (has_bytes()) {
      ParseMore();
      continue;
    }
    switch (ReadMore()) {
      case Fill::kMore:
        break;
      case Fill::kWouldBlock:
        return {State::kWouldBlock, {}};
      case Fill::kEnded:
        if (stream_failed_) return {State::kFailed, {}};
        parser_.ParseEnd();
        break;
    }
  }
}

Incoming::Piece Reader::PeekTunnel() {
  if (has_bytes()) return {State::kData, in_.bytes().subspan(parsed_)};
  switch (ReadMore()) {
    case Fill::kMore:
      return {State::kData, in_.bytes().subspan(parsed_)};
    case Fill::kWouldBlock:
      return {State::kWouldBlock, {}};
    case Fill::kEnded:
      break;
  }
  return {stream_ended_ ? State::kEnd : State::kFailed, {}};
}

void Reader::ConsumeBody(size_t n) {
  if (tunnel_) {
    in_.Consume(parsed_ + n);
    parsed_ = 0;
    return;
  }
  parser_.ConsumeBody(n);
  if (parser_.body().empty()) {
    in_.Consume(parsed_);
    parsed_ = 0;
    // The end of the message may be due: see it now, not when more bytes come.
    ParseMore();
  }
}

void Writer::Begin(Framing framing, uint64_t length) {
  framing_ = framing;
  left_ = framing == Framing::kLength ? length : 0;
  ended_ = framing == Framing::kNone || (framing == Framing::kLength && length == 0);
}

bool Writer::FlushGathered() {
  while (!out_.empty()) {
    const io::IoResult result = stream_->Write(out_.bytes());
    if (result.ok()) {
      out_.Consume(result.bytes);
      bytes_written_ += result.bytes;
      stream_clean_ = false;
      continue;
    }
    failed_ = !result.would_block();
    return false;
  }
  return true;
}

void Writer::Flush() {
  if (failed_) return;
  if (FlushGathered() && !stream_clean_) {
    const io::IoResult result = stream_->Flush();
    stream_clean_ = result.ok();
    failed_ = result.failed();
  }
  out_.Release();
  if (ended_ && framing_ == Framing::kTunnel && flushed() && !shut_down_) {
    // Nothing else tells the peer of a tunnel that this was all.
    shut_down_ = true;
    stream_->ShutdownWrite();
  }
}

size_t Writer::WriteRaw(std::span<const uint8_t> from) {
  if (from.size() <= kGatherBytes && out_.size() + from.size() <= kMaxGathered) {
    out_.Append(from);
    return from.size();
  }
  if (!FlushGathered()) return 0;
  const io::IoResult result = stream_->Write(from);
  if (!result.ok()) {
    failed_ = !result.would_block();
    return 0;
  }
  bytes_written_ += result.bytes;
  stream_clean_ = false;
  return result.bytes;
}

size_t Writer::Write(std::span<const uint8_t> from) {
  if (failed_ || ended_ || from.empty()) return 0;
  switch (framing_) {
    case Framing::kNone:
      return 0;
    case Framing::kClose:
    case Framing::kTunnel:
      return WriteRaw(from);
    case Framing::kLength: {
      // More than was announced would be read as the next message.
      if (from.size() > left_) {
        failed_ = true;
        return 0;
      }
      const size_t n = WriteRaw(from);
      left_ -= n;
      return n;
    }
    case Framing::kChunked:
      break;
  }
  if (left_ == 0) {
    if (out_.size() >= kMaxGathered && !FlushGathered()) return 0;
    std::array<char, 18> size_line;
    char* end = std::to_chars(size_line.data(), size_line.data() + 16, from.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out_.Append(std::string_view(size_line.data(), static_cast<size_t>(end - size_line.data())));
    left_ = from.size();
  }
  const size_t n = WriteRaw(from.first(std::min<size_t>(from.size(), left_)));
  left_ -= n;
  if (left_ == 0) out_.Append("\r\n");
  return n;
}

void Writer::End(const Headers& trailers) {
  if (ended_ && framing_ != Framing::kLength) return;
  // A body that is shorter than announced must not look complete.
  if (left_ != 0) failed_ = true;
  ended_ = true;
  if (framing_ != Framing::kChunked || failed_) return;
  out_.Append("0\r\n");
  for (const Headers::Field field : trailers) {
    if (StaysBehind(field.name)) continue;
    out_.Append(field.name);
    out_.Append(": ");
    out_.Append(field.value);
    out_.Append("\r\n");
  }
  out_.Append("\r\n");
}

}  // namespace weft::http::h1
