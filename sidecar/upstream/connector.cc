#include "sidecar/upstream/connector.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sidecar/io/socket.h"
#include "sidecar/tls/stream.h"

namespace weft::upstream {

io::Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Connector::Open(io::Nanos deadline) const {
  // Copies: the connector may go while this waits.
  const io::Address address = address_;
  const std::string alpn = alpn_;
  const std::string expected_identity = expected_identity_;
  std::shared_ptr<const tls::Context> context;
  if (mesh()) {
    context = identity_->context;
    if (context == nullptr) {
      co_return absl::FailedPreconditionError("this sidecar has no certificate yet");
    }
  }
  absl::StatusOr<std::unique_ptr<io::Socket>> socket = co_await io::Connect(address, deadline);
  if (!socket.ok()) co_return socket.status();
  if (context == nullptr) co_return std::unique_ptr<io::Stream>(*std::move(socket));
  absl::StatusOr<std::unique_ptr<tls::Stream>> stream = co_await tls::Connect(
      *std::move(socket), std::move(context), alpn, expected_identity, deadline);
  if (!stream.ok()) {
    co_return absl::Status(stream.status().code(),
                           absl::StrCat(address.ToString(), ": ", stream.status().message()));
  }
  co_return std::unique_ptr<io::Stream>(*std::move(stream));
}

}  // namespace weft::upstream
