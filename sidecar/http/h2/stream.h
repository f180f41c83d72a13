// One stream of an HTTP/2 connection: where nghttp2's callbacks and the exchange's user meet.
#ifndef WEFT_SIDECAR_HTTP_H2_STREAM_H_
#define WEFT_SIDECAR_HTTP_H2_STREAM_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "nghttp2/nghttp2.h"
#include "sidecar/http/headers.h"
#include "sidecar/http/message.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/event.h"

namespace weft::http::h2 {

class Session;

// What a block of fields that came in turned out to be.
enum class Verdict : uint8_t {
  kGood,
  kMalformed,   // the stream is to be reset
  kTooLarge,    // beyond the limits, which the stream deals with
  kOutrageous,  // so far beyond that the connection is to be closed
};

// The bodies of both directions and the stream's life. A stream belongs to its session's list as
// long as nghttp2 knows it (open) or a user holds its exchange (held), and is recycled after that.
// When the session goes first, the user holds the stream alone.
class Stream {
 public:
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // ---- For the exchange: see http::Incoming and http::Outgoing.
  Incoming::Piece Peek();
  void Consume(size_t n);
  io::Event& readable() { return readable_; }
  const Headers& trailers() const { return trailers_in_; }

  size_t Write(std::span<const uint8_t> from);
  void End(const Headers& trailers);
  io::Event& writable() { return writable_; }
  bool write_failed() const { return write_failed_; }
  io::Event& broken() { return broken_; }

  // The exchange is destroyed.
  void Release();

  // ---- For the session.
  virtual void BeginFields() = 0;
  virtual Verdict OnField(std::string_view name, std::string_view value) = 0;
  virtual Verdict OnFieldsEnd(bool end_stream) = 0;
  void OnData(std::span<const uint8_t> data);
  void OnIncomingEnd();
  // nghttp2 has forgotten the stream.
  void OnClosed(uint32_t error_code);
  // The session lets go of it.
  void OnSessionEnd(std::string_view why);
  // To be called when *this is used no more.
  void DiscardIfDone();
  // Why nghttp2 is about to reset it.
  void NoteError(std::string_view why) { error_ = why; }
  // nghttp2 has made a frame of it, with END_STREAM or without.
  void OnFrameSent(bool end_stream);

  int32_t id() const { return id_; }
  bool open() const { return open_; }
  bool held() const { return held_; }
  bool reset_by_us() const { return reset_sent_; }

  // Of the body that comes in.
  uint32_t window_bytes() const { return window_bytes_; }
  void set_window_bytes(uint32_t bytes) { window_bytes_ = bytes; }
  // True whenever as many bytes as the window has were consumed; then it counts anew.
  bool HasConsumedWindow(size_t bytes) {
    consumed_bytes_ += bytes;
    if (consumed_bytes_ < window_bytes_) return false;
    consumed_bytes_ = 0;
    return true;
  }

  // For nghttp2: the size of the next piece of the outgoing body, and whether it is the last.
  ssize_t NextData(size_t room, uint32_t* flags);
  // Its bytes, of which `n` are to be taken.
  std::span<const uint8_t> outgoing() const { return out_.bytes(); }
  void TakeData(size_t n);

 protected:
  enum class Sending : uint8_t {
    kHead,  // the head has not been given yet
    kBody,  // bytes may be written
    kEnd,   // everything has been given
    kSent,  // everything is among the bytes to be written
  };

  Stream() = default;

  void StartBlock() {
    block_bytes_ = block_count_ = 0;
    in_block_ = true;
  }
  void EndBlock() { in_block_ = false; }
  // A block of fields is coming in.
  bool in_block() const { return in_block_; }
  // Counts one field against the limits of one block.
  Verdict Count(std::string_view name, std::string_view value);
  void Open(Session* session, int32_t id);
  void MarkHeld();
  void Reset(uint32_t error_code);
  // Everything is given: the peer need not send the rest of its message (RFC 9113 section 8.1).
  void CutShort();
  nghttp2_data_provider BodyProvider();
  bool RecycleBase();

  // How the exchange is broken off if it is let go too early.
  virtual uint32_t abandon_code() const = 0;
  // Our message is worth sending to its end when the peer's no longer interests us.
  virtual bool may_cut_short() const = 0;
  // Puts the object among those to be used again.
  virtual void Discard() = 0;
  virtual void OnFailed(bool maybe_processed) {}

  Session* session_ = nullptr;
  int32_t id_ = -1;
  bool open_ = false;
  bool held_ = false;
  bool in_end_ = false;
  bool failed_ = false;  // what comes in will never be complete
  bool write_failed_ = false;
  bool serialized_ = false;  // some of it may have reached the peer
  bool has_trailers_out_ = false;
  Sending sending_ = Sending::kHead;
  Headers trailers_in_;
  std::string error_;

 private:
  friend class Session;

  void ResumeSending();

  bool deferred_ = false;   // nghttp2 waits for body bytes
  bool refused_ = false;    // a writer waits for room
  bool cut_short_ = false;  // to be reset with NO_ERROR once everything is sent
  bool reset_sent_ = false;
  bool in_block_ = false;
  uint32_t block_bytes_ = 0;  // of the block of fields that is coming in
  uint32_t block_count_ = 0;
  uint32_t window_bytes_ = 0;
  size_t consumed_bytes_ = 0;  // since the window was that full
  Stream* previous_ = nullptr;
  Stream* next_ = nullptr;
  io::Buffer in_;
  io::Buffer out_;
  io::Event readable_;
  io::Event writable_;
  io::Event broken_;
  Headers trailers_out_;
};

// The methods that both kinds of exchange share, forwarded to the stream.
template <typename Exchange, typename StreamType>
class Handle : public Exchange {
 public:
  explicit Handle(StreamType* stream) : stream_(stream) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() override { stream_->Release(); }

  Incoming::Piece Peek() final { return stream_->Peek(); }
  void Consume(size_t n) final { stream_->Consume(n); }
  io::Event& readable() final { return stream_->readable(); }
  const Headers& trailers() const final { return stream_->trailers(); }
  size_t Write(std::span<const uint8_t> from) final { return stream_->Write(from); }
  void End(const Headers& trailers) final { stream_->End(trailers); }
  // The end of the turn does it.
  void Flush() final {}
  io::Event& writable() final { return stream_->writable(); }
  bool write_failed() const final { return stream_->write_failed(); }
  io::Event* broken() final { return &stream_->broken(); }

 protected:
  StreamType* const stream_;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_STREAM_H_
