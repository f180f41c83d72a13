#include "sidecar/discovery/resolver.h"

#include <netdb.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sidecar/io/event.h"

namespace weft::discovery {
namespace {

constexpr size_t kMaxAddresses = 16;

using Addresses = absl::StatusOr<std::vector<io::Address>>;

Addresses LookUp(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat("resolve ", host, ": ", gai_strerror(error)));
  }
  std::vector<io::Address> addresses;
  for (const addrinfo* a = found; a != nullptr && addresses.size() < kMaxAddresses;
       a = a->ai_next) {
    addresses.push_back(io::Address::From(a->ai_addr));
  }
  freeaddrinfo(found);
  return addresses;
}

struct Question {
  io::Event answered;
  bool done = false;
  Addresses answer = absl::UnknownError("");
};

}  // namespace

struct Resolver::Shared {
  std::mutex mutex;
  io::Reactor* reactor;  // guarded by mutex; null once the resolver is gone
};

Resolver::Resolver(io::Reactor* reactor) : shared_(std::make_shared<Shared>()) {
  shared_->reactor = reactor;
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->reactor = nullptr;
}

io::Task<Addresses> Resolver::Resolve(std::string host, uint16_t port, io::Nanos deadline) {
  if (const absl::StatusOr<io::Address> ip = io::Address::FromIp(host, port); ip.ok()) {
    co_return std::vector<io::Address>{*ip};
  }
  const auto question = std::make_shared<Question>();
  try {
    std::thread([question, shared = shared_, host, port] {
      Addresses answer = LookUp(host, port);
      const std::lock_guard lock(shared->mutex);
      if (shared->reactor == nullptr) return;
      shared->reactor->Post([question, answer = std::move(answer)]() mutable {
        question->answer = std::move(answer);
        question->done = true;
        question->answered.Notify();
      });
    }).detach();
  } catch (const std::system_error& e) {
    co_return absl::UnavailableError(absl::StrCat("resolve ", host, ": no thread: ", e.what()));
  }
  while (!question->done) {
    if (co_await io::Wait(question->answered, deadline) == nullptr) {
      co_return absl::DeadlineExceededError(absl::StrCat("resolve ", host, ": no answer in time"));
    }
  }
  co_return std::move(question->answer);
}

}  // namespace weft::discovery
