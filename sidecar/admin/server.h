// A small HTTP/1.1 server on the main reactor for people and probes: admin, metrics, health.
#ifndef WEFT_SIDECAR_ADMIN_SERVER_H_
#define WEFT_SIDECAR_ADMIN_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "sidecar/io/address.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::admin {

struct Request {
  std::string method;  // GET, HEAD or POST
  std::string path;    // percent-decoded, without the query
  std::map<std::string, std::string> query;
  io::Address local;  // where it came in
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Serves what is registered by path; 404 lists the paths there are. Request heads are bounded to 8
// KiB, bodies to 8 KiB and ignored, connections in number and in time. Main reactor only.
class Server {
 public:
  struct Options {
    size_t max_connections = 64;
    io::Nanos idle_timeout = 30 * io::kSecond;   // between requests, and to complete one
    io::Nanos write_timeout = 30 * io::kSecond;  // to take a response
  };
  using Handler = std::function<io::Task<Response>(Request)>;

  // Listens at once. Unavailable names the address.
  static absl::StatusOr<std::unique_ptr<Server>> Open(const io::Address& address, Options options);
  // On a socket that listens already; takes connections from Start() on.
  static std::unique_ptr<Server> Make(std::unique_ptr<io::Listener> listener, Options options);
  void Start();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Closes the listener; connections end by themselves without touching the server again.
  ~Server();

  // GET (and HEAD) on a path; `summary` is shown on the index page at "/". Handlers run on the main
  // reactor and live as long as a request needs them.
  void Get(std::string path, std::string summary, Handler handler);
  void Post(std::string path, std::string summary, Handler handler);

  // The same for what need not wait.
  void Get(std::string path, std::string summary, std::function<Response(const Request&)> handler);
  void Post(std::string path, std::string summary, std::function<Response(const Request&)> handler);

  io::Address local() const;
  // Of the listening socket.
  int fd() const;

 private:
  struct State;
  explicit Server(std::shared_ptr<State> state);
  const std::shared_ptr<State> state_;
};

}  // namespace weft::admin

#endif  // WEFT_SIDECAR_ADMIN_SERVER_H_
