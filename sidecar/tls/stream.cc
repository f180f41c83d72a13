#include "sidecar/tls/stream.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/spiffe_id.h"
#include "base/x509_certificate.h"
#include "openssl/err.h"
#include "openssl/x509.h"

namespace weft::tls {
namespace {

using io::IoResult;

// Two full records: one on its way to the kernel, one being filled.
constexpr size_t kMaxUnsentBytes = 32 * 1024;
constexpr size_t kReadAheadBytes = io::Buffer::kBlockBytes;

std::string TakeLibraryError() {
  const uint32_t code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "" : reason;
}

Refusal RefusalOfVerification(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Refusal::kExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Refusal::kNotYetValid;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
      return Refusal::kWrongUsage;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return Refusal::kSelfSigned;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
      return Refusal::kChainTooLong;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return Refusal::kUntrusted;
    default:
      return Refusal::kBadCertificate;
  }
}

// Of the library's last error; 0: it has none, so that the transport ended.
Refusal RefusalOfLibrary(uint32_t code) {
  if (code == 0) return Refusal::kBrokenOff;
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return Refusal::kMalformed;
  const int reason = ERR_GET_REASON(code);
  if (reason >= SSL_AD_REASON_OFFSET) return Refusal::kRefusedByPeer;
  switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Refusal::kNoCertificate;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_WRONG_VERSION_ON_EARLY_DATA:
      return Refusal::kVersion;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return Refusal::kProtocol;
    case SSL_R_EXCESSIVE_MESSAGE_SIZE:
      return Refusal::kChainTooLong;
    default:
      return Refusal::kMalformed;
  }
}

std::string DescribeFailure(uint32_t code, std::string transport) {
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  return transport.empty() ? "the peer ended it" : std::move(transport);
}

}  // namespace

Stream::Stream(std::unique_ptr<io::Socket> socket, std::shared_ptr<const Context> context)
    : socket_(std::move(socket)), context_(std::move(context)), ssl_(SSL_new(context_->ssl_ctx())) {
  BIO* bio = BIO_new(BioMethod());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  if (context_->verifies()) {
    SSL_set_custom_verify(ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &Verify);
  }
}

// An orderly close says so (RFC 8446 section 6.1); it is tried once and never waited for.
Stream::~Stream() {
  if (error_.empty() && !SSL_in_init(ssl_.get())) {
    ShutdownWrite();
    Flush();
  }
  ERR_clear_error();
}

const BIO_METHOD* Stream::BioMethod() {
  static const BIO_METHOD* method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weft stream");
    BIO_meth_set_read(m, &Stream::BioRead);
    BIO_meth_set_write(m, &Stream::BioWrite);
    BIO_meth_set_ctrl(m, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return m;
  }();
  return method;
}

// BoringSSL reads a record's header and body apart; reading ahead makes that one system call for as
// many records as have come.
int Stream::BioRead(BIO* bio, char* into, int size) {
  auto* self = static_cast<Stream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self->in_.empty()) {
    if (self->read_end_) return 0;
    const std::span<uint8_t> room = self->in_.Room(kReadAheadBytes);
    const IoResult result = self->socket_->Read(room.first(kReadAheadBytes));
    switch (result.state) {
      case IoResult::State::kOk:
        self->in_.Commit(result.bytes);
        break;
      case IoResult::State::kWouldBlock:
        self->in_.Release();
        BIO_set_retry_read(bio);
        return -1;
      case IoResult::State::kEnd:
        self->read_end_ = true;
        self->in_.Release();
        return 0;
      case IoResult::State::kFailed:
        self->in_.Release();
        return -1;
    }
  }
  const size_t n = std::min(static_cast<size_t>(size), self->in_.size());
  std::copy_n(self->in_.bytes().data(), n, reinterpret_cast<uint8_t*>(into));
  self->in_.Consume(n);
  return static_cast<int>(n);
}

int Stream::BioWrite(BIO* bio, const char* from, int size) {
  auto* self = static_cast<Stream*>(BIO_get_data(bio));
  self->out_.Append(std::string_view(from, static_cast<size_t>(size)));
  return size;
}

IoResult Stream::Outcome(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return {IoResult::State::kWouldBlock};
    case SSL_ERROR_ZERO_RETURN:
      return {IoResult::State::kEnd};
    default:
      error_ = TakeLibraryError();
      if (error_.empty()) error_ = socket_->error();
      if (error_.empty()) error_ = "the connection was cut without close_notify";
      return {IoResult::State::kFailed};
  }
}

IoResult Stream::Read(std::span<uint8_t> into) {
  size_t total = 0;
  while (total < into.size()) {
    const int n = SSL_read(ssl_.get(), into.data() + total,
                           static_cast<int>(std::min<size_t>(into.size() - total, INT_MAX)));
    if (n > 0) {
      total += static_cast<size_t>(n);
      continue;
    }
    // What goes wrong after some bytes is told by the next call.
    if (total > 0) {
      ERR_clear_error();
      break;
    }
    return Outcome(n);
  }
  return {IoResult::State::kOk, total};
}

IoResult Stream::Write(std::span<const uint8_t> from) {
  size_t total = 0;
  while (total < from.size()) {
    if (out_.size() >= kMaxUnsentBytes / 2) {
      const IoResult flushed = Flush();
      if (flushed.failed()) return flushed;
      if (out_.size() >= kMaxUnsentBytes / 2) break;
    }
    const int n = SSL_write(
        ssl_.get(), from.data() + total,
        static_cast<int>(std::min<size_t>(from.size() - total, SSL3_RT_MAX_PLAIN_LENGTH)));
    if (n <= 0) {
      if (total == 0) return Outcome(n);
      break;
    }
    total += static_cast<size_t>(n);
  }
  if (total == 0 && !from.empty()) return {IoResult::State::kWouldBlock};
  return {IoResult::State::kOk, total};
}

IoResult Stream::Flush() {
  while (!out_.empty()) {
    const IoResult result = socket_->Write(out_.bytes());
    if (!result.ok()) return result;
    out_.Consume(result.bytes);
  }
  out_.Release();
  return {IoResult::State::kOk};
}

void Stream::ShutdownWrite() {
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string_view Stream::alpn() const {
  const uint8_t* data = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

ssl_verify_result_t Stream::Verify(SSL* ssl, uint8_t* alert) {
  return static_cast<Stream*>(SSL_get_app_data(ssl))->VerifyPeer(alert);
}

ssl_verify_result_t Stream::Refuse(Refusal refusal, std::string why) {
  refusal_ = refusal;
  error_ = std::move(why);
  return ssl_verify_invalid;
}

ssl_verify_result_t Stream::VerifyPeer(uint8_t* alert) {
  const STACK_OF(X509)* chain = SSL_get_peer_full_cert_chain(ssl_.get());
  X509* leaf = sk_X509_value(chain, 0);
  bssl::UniquePtr<X509_STORE_CTX> verification(X509_STORE_CTX_new());
  X509_STORE* store = SSL_CTX_get_cert_store(context_->ssl_ctx());
  *alert = SSL_AD_CERTIFICATE_UNKNOWN;
  if (sk_X509_num(chain) > static_cast<size_t>(kMaxChain)) {
    return Refuse(Refusal::kChainTooLong,
                  absl::StrCat("the peer's chain has more than ", kMaxChain, " certificates"));
  }
  if (X509_STORE_CTX_init(verification.get(), store, leaf, const_cast<STACK_OF(X509)*>(chain)) !=
          1 ||
      X509_STORE_CTX_set_default(verification.get(),
                                 SSL_is_server(ssl_.get()) ? "ssl_client" : "ssl_server") != 1) {
    return Refuse(Refusal::kBadCertificate, "the peer's certificate cannot be checked");
  }
  X509_STORE_CTX_set_depth(verification.get(), kMaxChain);
  if (X509_verify_cert(verification.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(verification.get());
    *alert = static_cast<uint8_t>(SSL_alert_from_verify_result(error));
    return Refuse(RefusalOfVerification(error),
                  absl::StrCat("the peer's certificate: ", X509_verify_cert_error_string(error)));
  }
  X509_up_ref(leaf);
  const x509::Certificate certificate{bssl::UniquePtr<X509>(leaf)};
  // A workload's certificate signs nothing (X509-SVID section 4.1).
  if (certificate.IsCa()) {
    return Refuse(Refusal::kWrongUsage, "the peer's certificate is that of a CA");
  }
  const absl::StatusOr<SpiffeId> id = certificate.Identity();
  if (!id.ok()) {
    return Refuse(Refusal::kNoIdentity,
                  absl::StrCat("the peer's certificate: ", id.status().message()));
  }
  const std::string uri = id->ToString();
  if (id->trust_domain != context_->trust_domain()) {
    return Refuse(
        Refusal::kWrongTrustDomain,
        absl::StrCat("the peer is ", uri, ", not of trust domain ", context_->trust_domain()));
  }
  if (!expected_identity_.empty() && uri != expected_identity_) {
    return Refuse(Refusal::kWrongIdentity,
                  absl::StrCat("the peer is ", uri, ", expected ", expected_identity_));
  }
  peer_identity_ = uri;
  return ssl_verify_ok;
}

// After Outcome() found that the handshake is over; what the library recorded is still there.
absl::Status Stream::HandshakeFailure() {
  const uint32_t code = ERR_peek_last_error();
  const Refusal refusal = refusal_.value_or(RefusalOfLibrary(code));
  if (!refusal_.has_value()) error_ = DescribeFailure(code, socket_->error());
  ERR_clear_error();
  return Refused(refusal, error_);
}

io::Task<absl::Status> Stream::Handshake(io::Nanos deadline) {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int wanted = SSL_get_error(ssl_.get(), result);
    const bool over =
        result != 1 && wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE;
    const absl::Status failure = over ? HandshakeFailure() : absl::OkStatus();
    // Also after a failure: the alert is in the buffer.
    IoResult flushed = Flush();
    if (over) co_return failure;
    if (result == 1) {
      while (flushed.would_block()) {
        if (co_await Wait(writable(), deadline) == nullptr) break;
        flushed = Flush();
      }
      if (!flushed.ok()) {
        error_ = "handshake not completed";
        co_return Refused(Refusal::kBrokenOff, socket_->error());
      }
      if (context_->verifies() && alpn().empty()) {
        error_ = "no common protocol";
        co_return Refused(Refusal::kProtocol, "the peer speaks no protocol of the mesh");
      }
      co_return absl::OkStatus();
    }
    io::Event& awaited = flushed.would_block() ? writable() : readable();
    if (co_await Wait(awaited, deadline) == nullptr) {
      error_ = "no answer in time";
      co_return Refused(Refusal::kTimeout, error_);
    }
  }
}

io::Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(std::unique_ptr<io::Socket> socket,
                                                          std::shared_ptr<const Context> context,
                                                          std::string alpn,
                                                          std::string expected_identity,
                                                          io::Nanos deadline) {
  std::unique_ptr<Stream> stream(new Stream(std::move(socket), std::move(context)));
  stream->expected_identity_ = std::move(expected_identity);
  const std::string wire = absl::StrCat(std::string(1, static_cast<char>(alpn.size())), alpn);
  SSL_set_connect_state(stream->ssl_.get());
  SSL_set_alpn_protos(stream->ssl_.get(), reinterpret_cast<const uint8_t*>(wire.data()),
                      wire.size());
  const absl::Status done = co_await stream->Handshake(deadline);
  if (!done.ok()) co_return done;
  co_return stream;
}

io::Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectUnverified(
    std::unique_ptr<io::Socket> socket, std::shared_ptr<const Context> context,
    std::string server_name, io::Nanos deadline) {
  std::unique_ptr<Stream> stream(new Stream(std::move(socket), std::move(context)));
  SSL_set_connect_state(stream->ssl_.get());
  // An address is no server name (RFC 6066 section 3); the library refuses names that are none.
  if (!server_name.empty()) SSL_set_tlsext_host_name(stream->ssl_.get(), server_name.c_str());
  const absl::Status done = co_await stream->Handshake(deadline);
  if (!done.ok()) co_return done;
  co_return stream;
}

io::Task<absl::StatusOr<std::unique_ptr<Stream>>> Accept(std::unique_ptr<io::Socket> socket,
                                                         std::shared_ptr<const Context> context,
                                                         io::Nanos deadline) {
  std::unique_ptr<Stream> stream(new Stream(std::move(socket), std::move(context)));
  SSL_set_accept_state(stream->ssl_.get());
  const absl::Status done = co_await stream->Handshake(deadline);
  if (!done.ok()) co_return done;
  co_return stream;
}

}  // namespace weft::tls
