#include "control-plane/inspect/http_endpoint.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/strings.h"

namespace weft::inspect {
namespace {

constexpr uint32_t kMaxPort = 65535;
constexpr size_t kMaxConnections = 64;
constexpr size_t kMaxHeadBytes = 8 * 1024;
constexpr absl::Duration kMaxAge = absl::Seconds(5);

struct HostAndPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostAndPort> Split(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string_view::npos && colon + 1 < address.size()) {
    std::string_view host = address.substr(0, colon);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    uint32_t port = 0;
    const bool is_port =
        absl::SimpleAtoi(ToAbsl(address.substr(colon + 1)), &port) && port <= kMaxPort;
    if (is_port && !host.empty() && (brackets || host.find(':') == std::string_view::npos)) {
      return HostAndPort{std::string(host), std::string(address.substr(colon + 1))};
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", ToAbsl(address), "\" is not ADDRESS:PORT or [IPV6]:PORT"));
}

absl::StatusOr<int> Listen(const HostAndPort& where) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(where.host, " port ", where.port, ": ", gai_strerror(error)));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot make a socket");
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (found->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 64) != 0) {
    absl::Status status = absl::ErrnoToStatus(
        errno, absl::StrCat("cannot listen on ", where.host, " port ", where.port));
    close(fd);
    return status;
  }
  return fd;
}

int PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::string_view Phrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Service Unavailable";
  }
}

// One connection: its request as far as it has come, then its response as far as it has not gone.
struct Connection {
  int fd;
  absl::Time accepted;
  std::string request = {};
  std::string response = {};
  bool closing = false;  // everything is sent; waiting for the client to close
};

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Reads what there is; false if the connection is over.
bool Receive(Connection& connection) {
  char chunk[4096];
  const ssize_t got = recv(connection.fd, chunk, sizeof chunk, 0);
  if (got < 0) return WouldBlock();
  if (got == 0) return false;
  if (connection.response.empty() && !connection.closing) {
    connection.request.append(chunk, static_cast<size_t>(got));
  }
  return true;
}

// Writes what goes; false if the connection is over.
bool Transmit(Connection& connection) {
  const ssize_t sent =
      send(connection.fd, connection.response.data(), connection.response.size(), MSG_NOSIGNAL);
  if (sent < 0) return WouldBlock();
  connection.response.erase(0, static_cast<size_t>(sent));
  if (connection.response.empty()) {
    // Not close: bytes of the client that are still under way would reset the connection.
    connection.closing = true;
    shutdown(connection.fd, SHUT_WR);
  }
  return true;
}

}  // namespace

HttpEndpoint::HttpEndpoint(int listener, int stop, int port, Handlers handlers)
    : listener_(listener), stop_(stop), port_(port), handlers_(std::move(handlers)) {}

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(std::string_view address,
                                                                  Handlers handlers) {
  absl::StatusOr<HostAndPort> where = Split(address);
  if (!where.ok()) return where.status();
  absl::StatusOr<int> listener = Listen(*where);
  if (!listener.ok() && where->host == "::") {
    where->host = "0.0.0.0";
    listener = Listen(*where);
  }
  if (!listener.ok()) return listener.status();
  const int stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop < 0) {
    close(*listener);
    return absl::ErrnoToStatus(errno, "cannot make an eventfd");
  }
  auto endpoint =
      absl::WrapUnique(new HttpEndpoint(*listener, stop, PortOf(*listener), std::move(handlers)));
  endpoint->thread_ = std::thread([self = endpoint.get()] { self->Run(); });
  WEFT_LOG_INFO("HTTP (metrics, health) listens on {} port {}", where->host, endpoint->port());
  return endpoint;
}

HttpEndpoint::~HttpEndpoint() {
  const uint64_t one = 1;
  if (write(stop_, &one, sizeof one) < 0) WEFT_LOG_ERROR("cannot stop the HTTP endpoint");
  thread_.join();
  close(listener_);
  close(stop_);
}

std::string HttpEndpoint::Respond(std::string_view head) const {
  Answer answer;
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  const std::string_view method = line.substr(0, first);
  if (second == std::string_view::npos || !line.substr(second).starts_with(" HTTP/1.")) {
    answer = {.code = 400, .body = "this port speaks HTTP/1.1\n"};
  } else if (method != "GET" && method != "HEAD") {
    answer = {.code = 405, .body = "only GET and HEAD\n"};
  } else {
    std::string_view path = line.substr(first + 1, second - first - 1);
    path = path.substr(0, path.find('?'));
    const auto handler = handlers_.find(path);
    if (handler != handlers_.end()) {
      answer = handler->second();
    } else {
      answer = {.code = 404, .body = "there is /metrics, /healthz/ready and /healthz/live\n"};
    }
  }
  std::string response = absl::StrCat(
      "HTTP/1.1 ", answer.code, " ", ToAbsl(Phrase(answer.code)),
      "\r\nContent-Type: ", answer.content_type, "\r\nContent-Length: ", answer.body.size(),
      answer.code == 405 ? "\r\nAllow: GET, HEAD" : "", "\r\nConnection: close\r\n\r\n");
  if (method != "HEAD") response += answer.body;
  return response;
}

void HttpEndpoint::Run() {
  std::vector<Connection> connections;
  while (true) {
    std::vector<pollfd> polls = {
        {stop_, POLLIN, 0}, {connections.size() < kMaxConnections ? listener_ : -1, POLLIN, 0}};
    for (const Connection& connection : connections) {
      polls.push_back(
          {connection.fd, static_cast<short>(connection.response.empty() ? POLLIN : POLLOUT), 0});
    }
    poll(polls.data(), polls.size(), connections.empty() ? -1 : 500);
    if (polls[0].revents != 0) break;
    const absl::Time now = absl::Now();
    for (size_t i = 0; i < connections.size(); ++i) {
      Connection& connection = connections[i];
      const short ready = polls[i + 2].revents;
      bool open = now - connection.accepted < kMaxAge;
      if (open && ready != 0) {
        open = connection.response.empty() ? Receive(connection) : Transmit(connection);
      }
      if (open && connection.response.empty() && !connection.closing) {
        if (connection.request.find("\r\n\r\n") != std::string::npos) {
          connection.response = Respond(connection.request);
        } else if (connection.request.size() > kMaxHeadBytes) {
          connection.response =
              "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
              "Connection: close\r\n\r\n";
        }
      }
      if (!open) close(std::exchange(connection.fd, -1));
    }
    std::erase_if(connections, [](const Connection& connection) { return connection.fd < 0; });
    if (polls[1].revents == 0) continue;
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) connections.push_back({.fd = fd, .accepted = now});
  }
  for (const Connection& connection : connections) close(connection.fd);
}

}  // namespace weft::inspect
