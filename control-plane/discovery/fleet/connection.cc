#include "control-plane/discovery/fleet/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/base/internal/endian.h"
#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/x509_key.h"

namespace weft::discovery::fleet {
namespace {

constexpr size_t kFrameHead = 5;              // gRPC: a flag and the length
constexpr size_t kMaxMessage = 64 << 20;      // a message longer than that is a broken stream
constexpr int32_t kWindow = 4 * 1024 * 1024;  // of the call and of the connection
constexpr size_t kReadBytes = 16 * 1024;

nghttp2_nv Header(std::string_view name, std::string_view value) {
  return {.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

std::string_view View(const uint8_t* data, size_t length) {
  return {reinterpret_cast<const char*>(data), length};
}

}  // namespace

absl::StatusOr<sockaddr_storage> ParseAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  sockaddr_storage parsed = {};
  if (colon != std::string_view::npos &&
      absl::SimpleAtoi(ToAbsl(address.substr(colon + 1)), &port) && port > 0 && port < 65536) {
    std::string host(address.substr(0, colon));
    auto* v4 = reinterpret_cast<sockaddr_in*>(&parsed);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&parsed);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(static_cast<uint16_t>(port));
      return parsed;
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
      host = host.substr(1, host.size() - 2);
      if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(static_cast<uint16_t>(port));
        return parsed;
      }
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", ToAbsl(address), "\" is not an IP address and a port"));
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Dial(const sockaddr_storage& address,
                                                             SSL_CTX& tls, Listener& listener,
                                                             Traffic& traffic) {
  const int descriptor =
      socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, "socket");
  bssl::UniquePtr<SSL> ssl(SSL_new(&tls));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), descriptor) != 1) {
    close(descriptor);
    return x509::CryptoError(absl::StatusCode::kInternal, "SSL_new");
  }
  SSL_set_connect_state(ssl.get());
  auto connection = absl::WrapUnique(new Connection(descriptor, std::move(ssl), listener, traffic));
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    return absl::ErrnoToStatus(errno, "connect");
  }
  return connection;
}

Connection::Connection(int descriptor, bssl::UniquePtr<SSL> ssl, Listener& listener,
                       Traffic& traffic)
    : descriptor_(descriptor), ssl_(std::move(ssl)), listener_(listener), traffic_(traffic) {}

Connection::~Connection() {
  nghttp2_session_del(http2_);
  close(descriptor_);
}

uint32_t Connection::Wanted() const { return wants_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN; }

absl::Status Connection::Drive() {
  if (http2_ == nullptr) {
    if (absl::Status status = Handshake(); !status.ok() || http2_ == nullptr) return status;
    listener_.OnOpen();
  }
  if (absl::Status status = Read(); !status.ok()) return status;
  return Write();
}

absl::Status Connection::Handshake() {
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    StartHttp2();
    return absl::OkStatus();
  }
  const int error = SSL_get_error(ssl_.get(), result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return absl::OkStatus();
  if (error == SSL_ERROR_SYSCALL) {
    // Before the connection stands the socket answers so, too.
    if (errno == ENOTCONN || errno == EAGAIN) {
      wants_write_ = true;
      return absl::OkStatus();
    }
    return absl::ErrnoToStatus(errno, "TLS handshake");
  }
  return x509::CryptoError(absl::StatusCode::kUnavailable, "TLS handshake");
}

void Connection::StartHttp2() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks,
      [](nghttp2_session*, uint8_t, int32_t, const uint8_t* data, size_t length, void* self) {
        static_cast<Connection*>(self)->TakeData(View(data, length));
        return 0;
      });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_length,
                    const uint8_t* value, size_t value_length, uint8_t, void* self) {
        static_cast<Connection*>(self)->TakeHeader(View(name, name_length),
                                                   View(value, value_length));
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t, uint32_t, void* self) {
        static_cast<Connection*>(self)->ended_ = true;
        return 0;
      });
  nghttp2_session_client_new(&http2_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow},
                                             {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(http2_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(http2_, NGHTTP2_FLAG_NONE, 0, kWindow);
}

void Connection::Call(std::string_view method, std::string_view bearer) {
  const std::string authorization = absl::StrCat("Bearer ", ToAbsl(bearer));
  std::vector<nghttp2_nv> headers = {
      Header(":method", "POST"),    Header(":scheme", "https"),
      Header(":path", method),      Header(":authority", "localhost"),
      Header("te", "trailers"),     Header("content-type", "application/grpc"),
      Header("user-agent", "fleet")};
  if (!bearer.empty()) headers.push_back(Header("authorization", authorization));
  nghttp2_data_provider provider{
      .source = {.ptr = this},
      .read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t length,
                          uint32_t* flags, nghttp2_data_source* source, void*) {
        return static_cast<Connection*>(source->ptr)->GiveData(buffer, length, flags);
      }};
  call_ =
      nghttp2_submit_request(http2_, nullptr, headers.data(), headers.size(), &provider, nullptr);
}

void Connection::Send(std::string_view message, bool last) {
  char head[kFrameHead] = {};
  absl::big_endian::Store32(head + 1, static_cast<uint32_t>(message.size()));
  outgoing_.append(head, kFrameHead);
  outgoing_ += message;
  last_sent_ = last;
  nghttp2_session_resume_data(http2_, call_);
}

ssize_t Connection::GiveData(uint8_t* buffer, size_t length, uint32_t* flags) {
  if (outgoing_.empty() && !last_sent_) return NGHTTP2_ERR_DEFERRED;
  const size_t bytes = std::min(length, outgoing_.size());
  std::memcpy(buffer, outgoing_.data(), bytes);
  outgoing_.erase(0, bytes);
  if (outgoing_.empty() && last_sent_) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(bytes);
}

void Connection::TakeData(std::string_view data) {
  incoming_ += data;
  size_t at = 0;
  while (incoming_.size() - at >= kFrameHead) {
    const size_t length = absl::big_endian::Load32(incoming_.data() + at + 1);
    if (length > kMaxMessage) {
      ended_ = true;
      grpc_message_ = "a message is too long";
      break;
    }
    if (incoming_.size() - at - kFrameHead < length) break;
    listener_.OnMessage(std::string_view(incoming_).substr(at + kFrameHead, length));
    at += kFrameHead + length;
  }
  incoming_.erase(0, at);
}

void Connection::TakeHeader(std::string_view name, std::string_view value) {
  if (name == "grpc-status") grpc_status_ = value;
  if (name == "grpc-message") grpc_message_ = value;
}

absl::Status Connection::Ended() const {
  return absl::UnavailableError(
      absl::StrCat("the call has ended, grpc-status ", grpc_status_, ": ", grpc_message_));
}

absl::Status Connection::Read() {
  char buffer[kReadBytes];
  while (!ended_) {
    const int bytes = SSL_read(ssl_.get(), buffer, sizeof(buffer));
    if (bytes <= 0) {
      const int error = SSL_get_error(ssl_.get(), bytes);
      if (error == SSL_ERROR_WANT_READ) return absl::OkStatus();
      return absl::UnavailableError("the connection is closed");
    }
    traffic_.received += static_cast<uint64_t>(bytes);
    if (nghttp2_session_mem_recv(http2_, reinterpret_cast<const uint8_t*>(buffer),
                                 static_cast<size_t>(bytes)) < 0) {
      return absl::UnavailableError("this is no HTTP/2");
    }
  }
  return Ended();
}

absl::Status Connection::Write() {
  while (true) {
    const uint8_t* frame = nullptr;
    ssize_t length = 0;
    while (unwritten_.size() < kReadBytes &&
           (length = nghttp2_session_mem_send(http2_, &frame)) > 0) {
      unwritten_ += View(frame, static_cast<size_t>(length));
    }
    if (length < 0) return absl::InternalError("HTTP/2 cannot go on");
    if (unwritten_.empty()) break;
    const int bytes = SSL_write(ssl_.get(), unwritten_.data(), static_cast<int>(unwritten_.size()));
    if (bytes <= 0) {
      if (SSL_get_error(ssl_.get(), bytes) != SSL_ERROR_WANT_WRITE) {
        return absl::UnavailableError("the connection is closed");
      }
      wants_write_ = true;
      return absl::OkStatus();
    }
    traffic_.sent += static_cast<uint64_t>(bytes);
    unwritten_.erase(0, static_cast<size_t>(bytes));
  }
  wants_write_ = false;
  return absl::OkStatus();
}

}  // namespace weft::discovery::fleet
