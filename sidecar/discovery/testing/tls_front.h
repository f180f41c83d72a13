// TLS in front of a gRPC server that has none: what a control plane's port does, for tests.
#ifndef WEFT_SIDECAR_DISCOVERY_TESTING_TLS_FRONT_H_
#define WEFT_SIDECAR_DISCOVERY_TESTING_TLS_FRONT_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/server.h"
#include "openssl/ssl.h"

namespace weft::discovery {

// Listens on 127.0.0.1; takes TLS 1.3 with ALPN "h2", asks for a client certificate and verifies
// one that comes. Each connection has a thread.
class TlsFront {
 public:
  // `port` 0: any.
  TlsFront(grpc::Server* server, const std::string& chain_pem, EVP_PKEY* key,
           const std::string& root_pem, uint16_t port);
  ~TlsFront();

  uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  int with_certificate() const { return with_certificate_; }
  // Cuts every connection.
  void CutAll();

 private:
  void Listen();
  void Serve(int fd);

  grpc::Server* const server_;
  bssl::UniquePtr<SSL_CTX> context_;
  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> with_certificate_ = 0;
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread listener_;
};

}  // namespace weft::discovery

#endif  // WEFT_SIDECAR_DISCOVERY_TESTING_TLS_FRONT_H_
