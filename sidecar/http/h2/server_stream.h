// A request that came in on a stream, and the response that goes out.
#ifndef WEFT_SIDECAR_HTTP_H2_SERVER_STREAM_H_
#define WEFT_SIDECAR_HTTP_H2_SERVER_STREAM_H_

#include <memory>
#include <string>
#include <string_view>

#include "sidecar/http/h2/stream.h"
#include "sidecar/http/message.h"
#include "sidecar/io/frame_pool.h"

namespace weft::http::h2 {

class ServerStream final : public Stream {
 public:
  // From the thread's recycler, linked into the session.
  static ServerStream* New(Session* session, int32_t id);

  // To be held by a user. Once, when the head is complete.
  std::unique_ptr<ServerExchange> Hold();

  const RequestHead& request() const { return request_; }
  RequestHead& mutable_request() { return request_; }
  void Respond(const ResponseHead& head);
  void Reset() { Stream::Reset(NGHTTP2_INTERNAL_ERROR); }

  // The request came in HTTP/1.1, complete.
  void TakeUpgraded(const RequestHead& request);

  void BeginFields() override;
  Verdict OnField(std::string_view name, std::string_view value) override;
  Verdict OnFieldsEnd(bool end_stream) override;

  // Nobody holds it: answers 431 (RFC 6585 section 5).
  void AnswerTooLarge();
  bool head_complete() const { return head_complete_; }
  // Hold() has been called.
  bool handed_over() const { return handed_over_; }

  bool Recycle();

 private:
  uint32_t abandon_code() const override { return NGHTTP2_INTERNAL_ERROR; }
  bool may_cut_short() const override { return true; }
  void Discard() override;
  Verdict OnPseudoField(std::string_view name, std::string_view value);

  RequestHead request_;
  std::string protocol_;  // of an extended CONNECT
  std::string host_;
  std::string cookie_;
  bool head_complete_ = false;
  bool handed_over_ = false;
  bool too_large_ = false;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_SERVER_STREAM_H_
