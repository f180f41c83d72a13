// A request that goes out on a stream, and the response that comes in.
#ifndef WEFT_SIDECAR_HTTP_H2_CLIENT_STREAM_H_
#define WEFT_SIDECAR_HTTP_H2_CLIENT_STREAM_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/http/h2/stream.h"
#include "sidecar/http/message.h"
#include "sidecar/io/frame_pool.h"

namespace weft::http::h2 {

class ClientStream final : public Stream {
 public:
  // A stream without a number yet, from the thread's recycler, linked into the session, and its
  // handle.
  static std::unique_ptr<ClientExchange> New(Session* session);

  void Send(const RequestHead& head);
  Incoming::State PeekHead();
  const ResponseHead& response() const { return response_; }
  ResponseHead& mutable_response() { return response_; }
  void NextHead();
  ClientExchange::Failure failure() const { return failure_; }
  const std::string& error() const { return error_; }

  void BeginFields() override;
  Verdict OnField(std::string_view name, std::string_view value) override;
  Verdict OnFieldsEnd(bool end_stream) override;

  bool Recycle();

 private:
  uint32_t abandon_code() const override { return NGHTTP2_CANCEL; }
  bool may_cut_short() const override { return false; }
  void Discard() override;
  void OnFailed(bool maybe_processed) override;

  // The head that comes in: the one to be looked at next, or one that waits behind it.
  ResponseHead& arriving() { return waiting_.empty() ? response_ : waiting_.back(); }

  ResponseHead response_;
  std::vector<ResponseHead> waiting_;  // behind informational ones that nobody has taken yet
  std::string upgrade_;                // what the request asked for
  ClientExchange::Failure failure_ = ClientExchange::Failure::kNone;
  bool head_request_ = false;
  bool response_ready_ = false;  // response_ is complete
  bool final_seen_ = false;      // the final head is complete: what follows are trailers
  bool not_upgraded_ = false;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_CLIENT_STREAM_H_
