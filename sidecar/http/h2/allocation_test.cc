// In steady state a request costs no memory from the heap.
#include <cstdlib>
#include <new>
#include <string>

#include "gtest/gtest.h"
#include "sidecar/http/h2/memory.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/test_peers.h"

namespace {
size_t allocations = 0;
size_t last_bytes = 0;
}  // namespace

void* operator new(size_t bytes) {
  ++allocations;
  last_bytes = bytes;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace weft::http::h2 {
namespace {

using State = Incoming::State;

// Echoes what one peek shows, without any buffer of its own.
io::Task<void> Respond(std::unique_ptr<ServerExchange> exchange, const ResponseHead* head) {
  Incoming::Piece piece = exchange->Peek();
  while (piece.state == State::kWouldBlock) {
    co_await io::Wait(exchange->readable());
    piece = exchange->Peek();
  }
  exchange->Respond(*head);
  exchange->Write(piece.data);
  exchange->Consume(piece.data.size());
  exchange->End(exchange->trailers());
}

io::Task<void> Ask(ClientSession* session, const RequestHead* head, std::string_view body,
                   const Headers* trailers, int times, int* left) {
  for (int i = 0; i < times; ++i) {
    std::unique_ptr<ClientExchange> exchange = session->Open();
    exchange->Send(*head);
    exchange->Write(io::AsBytes(body));
    exchange->End(*trailers);
    while (exchange->PeekHead() == State::kWouldBlock) co_await io::Wait(exchange->readable());
    EXPECT_EQ(exchange->response().status, 200);
    for (;;) {
      const Incoming::Piece piece = exchange->Peek();
      if (piece.state == State::kData) {
        exchange->Consume(piece.data.size());
      } else if (piece.state == State::kWouldBlock) {
        co_await io::Wait(exchange->readable());
      } else {
        EXPECT_EQ(piece.state, State::kEnd);
        break;
      }
    }
  }
  --*left;
}

TEST(AllocationTest, SteadyStateRequestsAllocateNothing) {
  if (kRecycledObjects == 0) GTEST_SKIP() << "nothing is used again in this build";
  io::Reactor reactor;
  RunStory([]() -> io::Task<void> {
    ResponseHead answer = Answer(200, true);
    answer.content_length = 200;
    answer.headers.Add("content-type", "text/plain");
    answer.headers.Add("x-request-id", "0123456789abcdef0123456789abcdef");
    std::unique_ptr<io::Socket> client_end, server_end;
    std::tie(client_end, server_end) = SocketPair();
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end));
    const ResponseHead* head = &answer;
    std::unique_ptr<ServerSession> server = ServerSession::Create(
        std::move(server_end), {}, [head](std::unique_ptr<ServerExchange> exchange) {
          io::Spawn(Respond(std::move(exchange), head));
        });
    int running = 2;
    const auto run = [](Session* session, int* left) -> io::Task<void> {
      co_await session->Run();
      --*left;
    };
    io::Spawn(run(client.get(), &running));
    io::Spawn(run(server.get(), &running));
    RequestHead request = Post("/leaf/of/a/longer/path?with=query&and=more");
    request.headers.Add("user-agent", "tea drinker");
    request.headers.Add("cookie", "version=beta; session=0123456789abcdef0123456789abcdef");
    request.headers.Add("accept", "*/*");
    const std::string body(200, 'b');
    const Headers none;
    Headers trailers;
    trailers.Add("x-sum", "200");
    const auto ask = [&](int at_once, int times, const Headers* with) -> io::Task<void> {
      int left = at_once;
      for (int i = 0; i < at_once; ++i) {
        io::Spawn(Ask(client.get(), &request, body, with, times, &left));
      }
      while (left > 0) co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
    };
    for (const Headers* with : {&none, static_cast<const Headers*>(&trailers)}) {
      // The reactor's own queues grow too, each on its own.
      for (int i = 0; i < 10; ++i) co_await ask(/*at_once=*/20, /*times=*/50, with);
      const size_t before = allocations;
      co_await ask(/*at_once=*/15, /*times=*/500, with);
      const size_t counted = allocations - before;
      const size_t bytes = last_bytes;
      EXPECT_EQ(counted, 0) << "the last one of " << bytes << " bytes";
    }
    client->Drain();
    while (running > 0) co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
  }());
}

}  // namespace
}  // namespace weft::http::h2
