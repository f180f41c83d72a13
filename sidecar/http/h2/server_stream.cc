#include "sidecar/http/h2/server_stream.h"

#include "sidecar/http/h2/fields.h"
#include "sidecar/http/h2/memory.h"
#include "sidecar/http/h2/session.h"

namespace weft::http::h2 {
namespace {

class ServerHandle final : public Handle<ServerExchange, ServerStream>, public io::Pooled {
 public:
  using Handle::Handle;
  const RequestHead& request() const override { return stream_->request(); }
  RequestHead& mutable_request() override { return stream_->mutable_request(); }
  void Respond(const ResponseHead& head) override { stream_->Respond(head); }
  void Reset() override { stream_->Reset(); }
};

}  // namespace

ServerStream* ServerStream::New(Session* session, int32_t id) {
  ServerStream* stream = Recycler<ServerStream>::Take();
  stream->Open(session, id);
  return stream;
}

std::unique_ptr<ServerExchange> ServerStream::Hold() {
  MarkHeld();
  handed_over_ = true;
  return std::make_unique<ServerHandle>(this);
}

void ServerStream::BeginFields() { StartBlock(); }

Verdict ServerStream::OnField(std::string_view name, std::string_view value) {
  const Verdict verdict = Count(name, value);
  if (verdict == Verdict::kOutrageous) return verdict;
  if (verdict == Verdict::kTooLarge) {
    too_large_ = true;
    // The rest is decoded, for the sake of HPACK's state, and dropped.
    return head_complete_ ? verdict : Verdict::kGood;
  }
  if (head_complete_) {
    if (name != "content-length") trailers_in_.Add(name, value);
    return Verdict::kGood;
  }
  if (name.front() == ':') return OnPseudoField(name, value);
  if (name == "cookie") {
    // Crumbs become one field again (RFC 9113 section 8.2.3).
    if (!cookie_.empty()) cookie_.append("; ");
    cookie_.append(value);
    return Verdict::kGood;
  }
  if (name == "host") {
    host_.assign(value);
    return Verdict::kGood;
  }
  if (name == "content-length") {
    request_.content_length = ParseNumber(value);
    return request_.content_length ? Verdict::kGood : Verdict::kMalformed;
  }
  if (name == "expect" && NamesEqual(value, "100-continue")) request_.expect_continue = true;
  request_.headers.Add(name, value);
  return Verdict::kGood;
}

void ServerStream::TakeUpgraded(const RequestHead& request) {
  request_ = request;
  head_complete_ = true;
  OnIncomingEnd();
}

// nghttp2 has seen to it that there is no other and none twice.
Verdict ServerStream::OnPseudoField(std::string_view name, std::string_view value) {
  if (name == ":method") {
    request_.method.assign(value);
  } else if (name == ":path") {
    request_.path.assign(value);
  } else if (name == ":scheme") {
    request_.scheme.assign(value);
  } else if (name == ":authority") {
    request_.authority.assign(value);
  } else if (name == ":protocol") {
    protocol_.assign(value);
  }
  return Verdict::kGood;
}

Verdict ServerStream::OnFieldsEnd(bool end_stream) {
  if (head_complete_) return Verdict::kGood;
  head_complete_ = true;
  if (too_large_) return Verdict::kTooLarge;
  if (request_.authority.empty()) {
    request_.authority = host_;
  } else if (!host_.empty() && !NamesEqual(host_, request_.authority)) {
    // Two names for one destination: somebody would be deceived (RFC 9113 section 8.3.1).
    return Verdict::kMalformed;
  }
  // User information does not belong there (RFC 9113 section 8.3.1).
  if (request_.authority.find('@') != std::string::npos) return Verdict::kMalformed;
  if (request_.authority == kNoAuthority) request_.authority.clear();
  if (!cookie_.empty()) request_.headers.Add("cookie", cookie_);
  request_.version = Version::kHttp2;
  request_.has_body = !end_stream;
  if (!protocol_.empty()) {
    request_.method = "GET";
    request_.upgrade = protocol_;
    request_.has_body = false;
  }
  return Verdict::kGood;
}

void ServerStream::Respond(const ResponseHead& head) {
  if (!open_ || write_failed_ || sending_ != Sending::kHead) return;
  FieldBlock& block = ScratchBlock();
  block.SetResponse(head, !protocol_.empty());
  if (!block.Fits(session_->MaxHeadBytes())) return Reset();
  nghttp2_session* session = session_->nghttp2();
  int result;
  if (head.informational()) {
    result = nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id_, nullptr, block.data(),
                                    block.size(), nullptr);
  } else if (head.has_body || head.status == 101) {
    sending_ = Sending::kBody;
    const nghttp2_data_provider body = BodyProvider();
    result = nghttp2_submit_response(session, id_, block.data(), block.size(), &body);
  } else {
    sending_ = Sending::kEnd;
    result = nghttp2_submit_response(session, id_, block.data(), block.size(), nullptr);
  }
  if (result != 0) Reset();
  session_->ScheduleWrite();
}

void ServerStream::AnswerTooLarge() {
  ResponseHead head;
  head.status = 431;
  head.content_length = 0;
  Respond(head);
  CutShort();
}

void ServerStream::Discard() { Recycler<ServerStream>::Give(this); }

bool ServerStream::Recycle() {
  constexpr size_t kKeptBytes = 8 * 1024;
  if (request_.headers.bytes() > kKeptBytes || request_.path.capacity() > kKeptBytes ||
      request_.authority.capacity() > kKeptBytes || cookie_.capacity() > kKeptBytes ||
      !RecycleBase()) {
    return false;
  }
  request_.Clear();
  protocol_.clear();
  host_.clear();
  cookie_.clear();
  head_complete_ = handed_over_ = too_large_ = false;
  return true;
}

}  // namespace weft::http::h2
