#include "sidecar/discovery/testing/tls_front.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "grpcpp/server_posix.h"
#include "openssl/pem.h"
#include "openssl/x509.h"

namespace weft::discovery {
namespace {

bssl::UniquePtr<X509> Parse(const std::string& pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

int SelectH2(SSL*, const uint8_t** out, uint8_t* size, const uint8_t* in, unsigned in_size, void*) {
  uint8_t* selected = nullptr;
  if (SSL_select_next_proto(&selected, size, reinterpret_cast<const uint8_t*>("\x02h2"), 3, in,
                            in_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

bool WriteAll(int fd, const uint8_t* data, ssize_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (n <= 0) return false;
    data += n;
    size -= n;
  }
  return true;
}

}  // namespace

TlsFront::TlsFront(grpc::Server* server, const std::string& chain_pem, EVP_PKEY* key,
                   const std::string& root_pem, uint16_t port)
    : server_(server), context_(SSL_CTX_new(TLS_method())) {
  // The library writes to sockets whose peer may have gone.
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION);
  SSL_CTX_use_certificate(context_.get(), Parse(chain_pem).get());
  SSL_CTX_use_PrivateKey(context_.get(), key);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), Parse(root_pem).get());
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_select_cb(context_.get(), SelectH2, nullptr);
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listen_fd_, 16) != 0 ||
      getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  listener_ = std::thread([this] { Listen(); });
}

TlsFront::~TlsFront() {
  shutdown(listen_fd_, SHUT_RDWR);
  listener_.join();
  close(listen_fd_);
  CutAll();
  for (std::thread& thread : threads_) thread.join();
}

void TlsFront::CutAll() {
  const std::lock_guard lock(mutex_);
  for (const int fd : open_) shutdown(fd, SHUT_RDWR);
}

void TlsFront::Listen() {
  for (;;) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

// Both directions in one thread; blocking writes are good enough here.
void TlsFront::Serve(int fd) {
  bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
  SSL_set_fd(ssl.get(), fd);
  if (SSL_accept(ssl.get()) == 1) {
    ++connections_;
    const bssl::UniquePtr<X509> peer(SSL_get_peer_certificate(ssl.get()));
    if (peer != nullptr) ++with_certificate_;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    grpc::AddInsecureChannelFromFd(server_, pair[1]);
    std::array<uint8_t, 16384> piece;
    for (bool open = true; open;) {
      std::array<pollfd, 2> polled{{{fd, POLLIN, 0}, {pair[0], POLLIN, 0}}};
      if (SSL_pending(ssl.get()) == 0) poll(polled.data(), 2, -1);
      if (SSL_pending(ssl.get()) > 0 || polled[0].revents != 0) {
        const int n = SSL_read(ssl.get(), piece.data(), piece.size());
        open = n > 0 && WriteAll(pair[0], piece.data(), n);
      }
      if (open && polled[1].revents != 0) {
        const ssize_t n = recv(pair[0], piece.data(), piece.size(), 0);
        open = n > 0 && SSL_write(ssl.get(), piece.data(), static_cast<int>(n)) > 0;
      }
    }
    close(pair[0]);
  }
  const std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  close(fd);
}

}  // namespace weft::discovery
