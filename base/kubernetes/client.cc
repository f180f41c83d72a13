#include "base/kubernetes/client.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/kubernetes/file.h"
#include "base/kubernetes/transfer.h"

namespace weft::kubernetes {
namespace {

constexpr size_t kMaxIdle = 8;
constexpr size_t kMaxRefusalBytes = 64 << 10;

// Cuts a stream of bytes into lines.
class Lines {
 public:
  Lines(size_t max_bytes, const std::function<bool(std::string_view)>& on_line)
      : max_bytes_(max_bytes), on_line_(on_line) {}

  absl::StatusOr<bool> Add(std::string_view bytes) {
    for (size_t end; (end = bytes.find('\n')) != std::string_view::npos;
         bytes.remove_prefix(end + 1)) {
      std::string_view line = bytes.substr(0, end);
      if (begun_.size() + line.size() > max_bytes_) return TooLong();
      if (!begun_.empty()) {
        begun_.append(line);
        line = begun_;
      }
      const bool more = line.empty() || on_line_(line);
      begun_.clear();
      if (!more) return false;
    }
    if (begun_.size() + bytes.size() > max_bytes_) return TooLong();
    begun_.append(bytes);
    // One large line does not occupy memory for ever.
    if (begun_.empty() && begun_.capacity() > kKeptBytes) std::string().swap(begun_);
    return true;
  }

  // Whether the bytes so far end amid a line.
  bool unfinished() const { return !begun_.empty(); }

 private:
  static constexpr size_t kKeptBytes = 64 << 10;

  absl::Status TooLong() const {
    return absl::ResourceExhaustedError(
        absl::StrCat("a line of the stream is longer than ", max_bytes_, " bytes"));
  }

  const size_t max_bytes_;
  const std::function<bool(std::string_view)>& on_line_;
  std::string begun_;
};

}  // namespace

std::string EscapeUrl(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      escaped.push_back(c);
    } else {
      escaped.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return escaped;
}

Client::Client(Config config) : config_(std::move(config)), ca_pem_(config_.ca_pem) {}

Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Create(Config config) {
  if (!config.server.starts_with("https://") && !config.server.starts_with("http://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("API server \"", config.server, "\" is no https:// address"));
  }
  return absl::WrapUnique(new Client(std::move(config)));
}

absl::StatusOr<Response> Client::Call(const Request& request, const Cancellation* cancellation) {
  return WithFreshCredentials([&](Transfer& transfer) -> absl::StatusOr<Response> {
    absl::StatusOr<std::string> token = Token();
    if (!token.ok()) return token.status();
    return transfer.Run(config_, {.request = request,
                                  .ca_pem = CaPem(),
                                  .token = *std::move(token),
                                  .on_bytes = nullptr,
                                  .on_open = nullptr,
                                  .cancellation = cancellation});
  });
}

absl::StatusOr<Response> Client::Stream(const StreamRequest& request,
                                        const std::function<bool(std::string_view)>& on_line,
                                        const Cancellation& cancellation) {
  return WithFreshCredentials([&](Transfer& transfer) -> absl::StatusOr<Response> {
    absl::StatusOr<std::string> token = Token();
    if (!token.ok()) return token.status();
    Lines lines(request.max_line_bytes, on_line);
    bool stopped = false;
    absl::StatusOr<Response> response =
        transfer.Run(config_, {.request = {.path = request.path,
                                           .timeout = absl::InfiniteDuration(),
                                           .max_response_bytes = kMaxRefusalBytes},
                               .ca_pem = CaPem(),
                               .token = *std::move(token),
                               .on_bytes =
                                   [&](std::string_view bytes) {
                                     absl::StatusOr<bool> more = lines.Add(bytes);
                                     stopped = more.ok() && !*more;
                                     return more;
                                   },
                               .on_open = request.on_open,
                               .silence = request.silence,
                               .cancellation = &cancellation});
    if (response.ok() && !stopped && lines.unfinished()) {
      return absl::UnavailableError("the stream ended amid a line");
    }
    return response;
  });
}

absl::StatusOr<Response> Client::WithFreshCredentials(
    const std::function<absl::StatusOr<Response>(Transfer&)>& attempt) {
  std::unique_ptr<Transfer> transfer = Take();
  if (transfer == nullptr) {
    absl::StatusOr<std::unique_ptr<Transfer>> created = Transfer::Create();
    if (!created.ok()) return created.status();
    transfer = *std::move(created);
  }
  absl::StatusOr<Response> response = attempt(*transfer);
  const bool token_expired = response.ok() && response->code == 401 && !config_.token_file.empty();
  const bool authority_changed = !response.ok() && transfer->certificate_refused() && ReloadCa();
  if (token_expired || authority_changed) response = attempt(*transfer);
  Return(std::move(transfer));
  return response;
}

std::unique_ptr<Client::Transfer> Client::Take() {
  absl::MutexLock lock(&mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Transfer> transfer = std::move(idle_.back());
  idle_.pop_back();
  return transfer;
}

void Client::Return(std::unique_ptr<Transfer> transfer) {
  absl::MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(transfer));
}

absl::StatusOr<std::string> Client::Token() const {
  if (config_.token_file.empty()) return config_.token;
  return ReadTokenFile(config_.token_file);
}

std::string Client::CaPem() const {
  absl::MutexLock lock(&mutex_);
  return ca_pem_;
}

bool Client::ReloadCa() {
  if (config_.ca_file.empty()) return false;
  absl::StatusOr<std::string> pem = ReadCredentialFile(config_.ca_file);
  if (!pem.ok() || pem->empty()) return false;
  absl::MutexLock lock(&mutex_);
  if (*pem == ca_pem_) return false;
  ca_pem_ = *std::move(pem);
  return true;
}

}  // namespace weft::kubernetes
