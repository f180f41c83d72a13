// A TLS connection over a socket.
#ifndef WEFT_SIDECAR_TLS_STREAM_H_
#define WEFT_SIDECAR_TLS_STREAM_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "openssl/ssl.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/stream.h"
#include "sidecar/io/task.h"
#include "sidecar/tls/context.h"
#include "sidecar/tls/refusal.h"

namespace weft::tls {

// An established connection: both ends verified, ALPN agreed. Sealed records gather in a bounded
// buffer until Flush(), so many small writes can share one system call.
class Stream final : public io::Stream, public io::Pooled {
 public:
  ~Stream() override;

  io::IoResult Read(std::span<uint8_t> into) override;
  io::IoResult Write(std::span<const uint8_t> from) override;
  io::IoResult Flush() override;
  // Sends close_notify: the peer reads an orderly end, and can tell it from a cut connection.
  void ShutdownWrite() override;
  void ResetOnClose() override { socket_->ResetOnClose(); }
  io::Event& readable() override { return socket_->readable(); }
  io::Event& writable() override { return socket_->writable(); }
  bool peer_closed() const override { return socket_->peer_closed(); }
  std::string error() const override { return error_.empty() ? socket_->error() : error_; }

  const io::Socket& socket() const { return *socket_; }

  // The peer's SPIFFE ID, as its verified certificate has it.
  const std::string& peer_identity() const { return peer_identity_; }
  // The protocol agreed on.
  std::string_view alpn() const;

 private:
  friend io::Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(std::unique_ptr<io::Socket>,
                                                                   std::shared_ptr<const Context>,
                                                                   std::string, std::string,
                                                                   io::Nanos);
  friend io::Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectUnverified(
      std::unique_ptr<io::Socket>, std::shared_ptr<const Context>, std::string, io::Nanos);
  friend io::Task<absl::StatusOr<std::unique_ptr<Stream>>> Accept(std::unique_ptr<io::Socket>,
                                                                  std::shared_ptr<const Context>,
                                                                  io::Nanos);
  Stream(std::unique_ptr<io::Socket> socket, std::shared_ptr<const Context> context);

  io::Task<absl::Status> Handshake(io::Nanos deadline);
  io::IoResult Outcome(int result);
  static ssl_verify_result_t Verify(SSL* ssl, uint8_t* alert);
  ssl_verify_result_t VerifyPeer(uint8_t* alert);
  ssl_verify_result_t Refuse(Refusal refusal, std::string why);
  absl::Status HandshakeFailure();
  static int BioRead(BIO* bio, char* into, int size);
  static int BioWrite(BIO* bio, const char* from, int size);
  static const BIO_METHOD* BioMethod();

  std::unique_ptr<io::Socket> socket_;
  std::shared_ptr<const Context> context_;
  bssl::UniquePtr<SSL> ssl_;
  io::Buffer in_;   // ciphertext that was read ahead
  io::Buffer out_;  // ciphertext that was not written yet
  bool read_end_ = false;
  std::string expected_identity_;  // empty: any of the trust domain
  std::string peer_identity_;
  std::string error_;
  std::optional<Refusal> refusal_;  // of the peer's certificate
};

// The client's handshake. `alpn` is what it offers; `expected_identity` the SPIFFE ID that the
// server's certificate must carry. Errors: Unauthenticated (the peer's certificate; the message
// says what is wrong with it), Unavailable (broken off, or no common protocol), DeadlineExceeded;
// RefusalOf() names the reason.
io::Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(std::unique_ptr<io::Socket> socket,
                                                          std::shared_ptr<const Context> context,
                                                          std::string alpn,
                                                          std::string expected_identity,
                                                          io::Nanos deadline);

// The client's handshake with an application's own TLS, in a context that does not verify.
// `server_name` is what it asks for (SNI); empty: for nothing. Errors: Unavailable,
// DeadlineExceeded.
io::Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectUnverified(
    std::unique_ptr<io::Socket> socket, std::shared_ptr<const Context> context,
    std::string server_name, io::Nanos deadline);

// The server's handshake: takes the mesh's ALPN protocols only, and wants a client certificate of
// the trust domain. Errors as above.
io::Task<absl::StatusOr<std::unique_ptr<Stream>>> Accept(std::unique_ptr<io::Socket> socket,
                                                         std::shared_ptr<const Context> context,
                                                         io::Nanos deadline);

}  // namespace weft::tls

#endif  // WEFT_SIDECAR_TLS_STREAM_H_
