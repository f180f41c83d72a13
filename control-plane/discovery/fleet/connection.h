// The client's end of one connection to the control plane: TCP, TLS with a certificate, HTTP/2 and
// on it one gRPC call. Much lighter than a gRPC channel, so that thousands fit into one thread and
// what a fleet costs is not mistaken for what the control plane costs.
#ifndef WEFT_CONTROL_PLANE_DISCOVERY_FLEET_CONNECTION_H_
#define WEFT_CONTROL_PLANE_DISCOVERY_FLEET_CONNECTION_H_

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "openssl/ssl.h"

namespace weft::discovery::fleet {

// Bytes of HTTP/2, before TLS.
struct Traffic {
  uint64_t received = 0;
  uint64_t sent = 0;
};

// Not thread-safe. Owned by its user, who polls `descriptor()` for `Wanted()` and calls Drive.
class Connection {
 public:
  // Called from Drive only. The connection must not be destroyed from within.
  class Listener {
   public:
    virtual ~Listener() = default;
    // The connection stands; the call may be begun.
    virtual void OnOpen() = 0;
    // One gRPC message of the answer.
    virtual void OnMessage(std::string_view message) = 0;
  };

  // Begins to connect to the IPv4 or IPv6 address. `tls` and `listener` must outlive it.
  static absl::StatusOr<std::unique_ptr<Connection>> Dial(const sockaddr_storage& address,
                                                          SSL_CTX& tls, Listener& listener,
                                                          Traffic& traffic);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const { return descriptor_; }
  // EPOLLIN, EPOLLOUT or both.
  uint32_t Wanted() const;
  // Does what can be done without waiting. An error: the connection or the call has ended, drop it.
  absl::Status Drive();

  // Begins the call; `bearer` may be empty. Once per connection, not before OnOpen.
  void Call(std::string_view method, std::string_view bearer);
  // Adds a message to what Drive sends. `last`: no other follows.
  void Send(std::string_view message, bool last = false);

 private:
  Connection(int descriptor, bssl::UniquePtr<SSL> ssl, Listener& listener, Traffic& traffic);

  absl::Status Handshake();
  void StartHttp2();
  absl::Status Read();
  absl::Status Write();
  void TakeData(std::string_view data);
  ssize_t GiveData(uint8_t* buffer, size_t length, uint32_t* flags);
  void TakeHeader(std::string_view name, std::string_view value);
  absl::Status Ended() const;

  const int descriptor_;
  const bssl::UniquePtr<SSL> ssl_;
  Listener& listener_;
  Traffic& traffic_;
  nghttp2_session* http2_ = nullptr;  // null until TLS is established
  bool wants_write_ = true;           // of TLS
  int32_t call_ = -1;
  std::string outgoing_;  // gRPC messages, framed
  bool last_sent_ = false;
  std::string incoming_;  // of an incomplete gRPC message
  std::string unwritten_;
  bool ended_ = false;
  std::string grpc_status_, grpc_message_;
};

// "127.0.0.1:15012" or "[::1]:15012".
absl::StatusOr<sockaddr_storage> ParseAddress(std::string_view address);

}  // namespace weft::discovery::fleet

#endif  // WEFT_CONTROL_PLANE_DISCOVERY_FLEET_CONNECTION_H_
