#include "sidecar/http/h2/client_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sidecar/http/h2/fields.h"
#include "sidecar/http/h2/memory.h"
#include "sidecar/http/h2/session.h"

namespace weft::http::h2 {
namespace {

// Informational heads that wait for a slow user; what comes beyond is malice.
constexpr size_t kMaxWaitingHeads = 16;

class ClientHandle final : public Handle<ClientExchange, ClientStream>, public io::Pooled {
 public:
  using Handle::Handle;
  void Send(const RequestHead& head) override { stream_->Send(head); }
  Incoming::State PeekHead() override { return stream_->PeekHead(); }
  const ResponseHead& response() const override { return stream_->response(); }
  ResponseHead& mutable_response() override { return stream_->mutable_response(); }
  void NextHead() override { stream_->NextHead(); }
  Failure failure() const override { return stream_->failure(); }
  std::string error() const override { return stream_->error(); }
};

}  // namespace

std::unique_ptr<ClientExchange> ClientStream::New(Session* session) {
  ClientStream* stream = Recycler<ClientStream>::Take();
  stream->Open(session, -1);
  stream->MarkHeld();
  return std::make_unique<ClientHandle>(stream);
}

void ClientStream::Send(const RequestHead& head) {
  if (!open_ || sending_ != Sending::kHead) return;
  const bool upgrade = IsUpgrade(head);
  if (upgrade) {
    if (!session_->PeerTakesUpgrades()) {
      NoteError("the peer does not support extended CONNECT (RFC 8441)");
      OnClosed(NGHTTP2_REFUSED_STREAM);
      return;
    }
    upgrade_ = head.upgrade;
  }
  head_request_ = head.method == "HEAD";
  FieldBlock& block = ScratchBlock();
  block.SetRequest(head);
  if (!block.Fits(session_->MaxHeadBytes())) {
    NoteError("the request's head is larger than the peer takes");
    OnClosed(NGHTTP2_INTERNAL_ERROR);
    // Nor will another connection take it.
    failure_ = ClientExchange::Failure::kUnknown;
    return;
  }
  const bool has_body = head.has_body || upgrade || head.method == "CONNECT";
  const nghttp2_data_provider body = BodyProvider();
  const int32_t id =
      nghttp2_submit_request(session_->nghttp2(), nullptr, block.data(), block.size(),
                             has_body ? &body : nullptr, static_cast<Stream*>(this));
  if (id < 0) {
    NoteError(absl::StrCat("cannot send the request: ", nghttp2_strerror(id)));
    OnClosed(NGHTTP2_REFUSED_STREAM);
    return;
  }
  id_ = id;
  sending_ = has_body ? Sending::kBody : Sending::kEnd;
  session_->ScheduleWrite();
}

Incoming::State ClientStream::PeekHead() {
  if (response_ready_) return Incoming::State::kData;
  if (failed_) return Incoming::State::kFailed;
  readable().Reset();
  return Incoming::State::kWouldBlock;
}

void ClientStream::NextHead() {
  if (!response_.informational()) return;
  response_.Clear();
  response_ready_ = false;
  if (waiting_.empty()) return;
  std::swap(response_, waiting_.front());
  waiting_.erase(waiting_.begin());
  // The last one may still be coming in.
  response_ready_ = !waiting_.empty() || !in_block();
}

void ClientStream::BeginFields() {
  StartBlock();
  if (!final_seen_ && response_ready_) waiting_.emplace_back();
}

Verdict ClientStream::OnField(std::string_view name, std::string_view value) {
  const Verdict verdict = Count(name, value);
  if (verdict != Verdict::kGood) {
    NoteError("the response's head is larger than the limit");
    return verdict;
  }
  if (final_seen_) {
    if (name != "content-length") trailers_in_.Add(name, value);
    return Verdict::kGood;
  }
  ResponseHead& head = arriving();
  if (name.front() == ':') {
    head.status = static_cast<int>(ParseNumber(value).value_or(0));
    return head.status >= 100 ? Verdict::kGood : Verdict::kMalformed;
  }
  if (name == "content-length") {
    head.content_length = ParseNumber(value);
    return head.content_length ? Verdict::kGood : Verdict::kMalformed;
  }
  if (name == kNotUpgraded) {
    const std::optional<uint64_t> status = ParseNumber(value);
    if (upgrade_.empty() || !status || *status / 100 != 2) return Verdict::kGood;
    not_upgraded_ = true;
    head.status = static_cast<int>(*status);
    return Verdict::kGood;
  }
  head.headers.Add(name, value);
  return Verdict::kGood;
}

Verdict ClientStream::OnFieldsEnd(bool end_stream) {
  EndBlock();
  if (final_seen_) return Verdict::kGood;
  ResponseHead& head = arriving();
  if (head.informational()) {
    if (waiting_.size() >= kMaxWaitingHeads) {
      NoteError("the peer sends informational responses without end");
      return Verdict::kTooLarge;
    }
  } else {
    final_seen_ = true;
    head.has_body = !end_stream && !head_request_ && head.status != 204 && head.status != 304;
    if (!upgrade_.empty() && head.status / 100 == 2 && !not_upgraded_) {
      head.status = 101;
      head.upgrade = upgrade_;
    }
  }
  if (waiting_.empty()) response_ready_ = true;
  readable().Notify();
  return Verdict::kGood;
}

void ClientStream::OnFailed(bool maybe_processed) {
  using Failure = ClientExchange::Failure;
  failure_ = maybe_processed ? Failure::kUnknown : Failure::kNotProcessed;
  if (error_.empty()) error_ = "the peer ended the stream without a complete response";
}

void ClientStream::Discard() { Recycler<ClientStream>::Give(this); }

bool ClientStream::Recycle() {
  constexpr size_t kKeptBytes = 8 * 1024;
  if (response_.headers.bytes() > kKeptBytes || !RecycleBase()) return false;
  response_.Clear();
  waiting_.clear();
  upgrade_.clear();
  failure_ = ClientExchange::Failure::kNone;
  head_request_ = response_ready_ = final_seen_ = not_upgraded_ = false;
  return true;
}

}  // namespace weft::http::h2
