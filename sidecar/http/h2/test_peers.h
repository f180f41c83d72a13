// What the tests of this folder share: a reactor with a deadline, pairs of sessions, a peer that
// speaks raw frames.
#ifndef WEFT_SIDECAR_HTTP_H2_TEST_PEERS_H_
#define WEFT_SIDECAR_HTTP_H2_TEST_PEERS_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/http/h2/session.h"
#include "sidecar/http/message.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::http::h2 {

// Both ends of a connection, adopted by the current reactor.
std::pair<std::unique_ptr<io::Socket>, std::unique_ptr<io::Socket>> SocketPair();

// Runs `story` on the current reactor to its end. A story that does not end within half a minute
// fails the test and the program.
void RunStory(io::Task<void> story);

// Waits, turn by turn, until it holds.
io::Task<void> Until(std::function<bool()> holds);

RequestHead Get(std::string_view path);
RequestHead Post(std::string_view path);
ResponseHead Answer(int status, bool has_body = false);

// Of an exchange: everything to its end. The last state is kEnd or kFailed.
struct Body {
  std::string bytes;
  Incoming::State end = Incoming::State::kWouldBlock;
};
io::Task<Body> ReadBody(Incoming& from);
// False if writing failed.
io::Task<bool> WriteBody(Outgoing& to, std::string_view bytes);
// The state in which the wait for a head ended.
io::Task<Incoming::State> AwaitHead(ClientExchange& exchange);

using Handler = std::function<io::Task<void>(std::unique_ptr<ServerExchange>)>;

// Answers with the request's body, and its trailers.
io::Task<void> Echo(std::unique_ptr<ServerExchange> exchange);

// A client and a server that talk to each other, running.
class Pair {
 public:
  explicit Pair(Handler handler, const Limits& server_limits = {},
                const Limits& client_limits = {});
  Pair(Handler handler, std::unique_ptr<io::Stream> client_end,
       std::unique_ptr<io::Stream> server_end, const Limits& server_limits = {},
       const Limits& client_limits = {});

  ClientSession& client() { return *client_; }
  ServerSession& server() { return *server_; }
  bool client_ended() const { return *client_ended_; }
  bool server_ended() const { return *server_ended_; }
  // Ends both in order.
  io::Task<void> End();

 private:
  std::unique_ptr<ClientSession> client_;
  std::unique_ptr<ServerSession> server_;
  std::shared_ptr<bool> client_ended_ = std::make_shared<bool>(false);
  std::shared_ptr<bool> server_ended_ = std::make_shared<bool>(false);
};

// Frames by hand (RFC 9113 section 4.1).
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// A field as a literal without indexing (RFC 7541 section 6.2.2), of names and values below 127
// bytes.
std::string Literal(std::string_view name, std::string_view value);
// The fields of a GET.
std::string GetFields();
std::string Number32(uint32_t number);

// The other end of a server session, by hand.
class RawClient {
 public:
  explicit RawClient(Handler handler, const Limits& limits = {});

  ServerSession& server() { return *server_; }
  bool server_ended() const { return *ended_; }
  io::Task<void> Send(std::string bytes);

  struct Received {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    std::string payload;
  };
  // The next frame of that type; others are dropped. Type 255: the connection's end came first.
  io::Task<Received> Await(uint8_t type);
  void HangUp() { socket_.reset(); }

 private:
  std::unique_ptr<io::Socket> socket_;
  std::unique_ptr<ServerSession> server_;
  std::string unread_;
  std::shared_ptr<bool> ended_ = std::make_shared<bool>(false);
};

// The error code and the reason of a GOAWAY.
uint32_t GoawayCode(const RawClient::Received& frame);

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_TEST_PEERS_H_
