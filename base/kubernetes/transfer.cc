#include "base/kubernetes/transfer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "base/version.h"

namespace weft::kubernetes {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
// A peer that is gone without a word is noticed after about half a minute.
constexpr long kKeepAliveIdleSeconds = 15;
constexpr long kKeepAliveIntervalSeconds = 5;
constexpr int kKeepAliveProbes = 3;
constexpr unsigned kUnacknowledgedMilliseconds = 30'000;

int OnSocket(void*, curl_socket_t socket, curlsocktype) {
  // What fails here leaves the kernel's defaults.
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveProbes, sizeof(kKeepAliveProbes));
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMilliseconds,
             sizeof(kUnacknowledgedMilliseconds));
  return CURL_SOCKOPT_OK;
}

// The option's bytes must live until the transfer ends.
void SetBlob(CURL* easy, CURLoption option, const std::string& bytes) {
  if (bytes.empty()) return;
  curl_blob blob{.data = const_cast<char*>(bytes.data()),  // libcurl only reads it
                 .len = bytes.size(),
                 .flags = CURL_BLOB_NOCOPY};
  curl_easy_setopt(easy, option, &blob);
}

struct Url {
  explicit Url(const std::string& text) : handle(curl_url()) {
    valid = handle != nullptr &&
            curl_url_set(handle, CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER) == CURLUE_OK;
  }
  ~Url() { curl_url_cleanup(handle); }
  Url(const Url&) = delete;
  Url& operator=(const Url&) = delete;

  std::string Get(CURLUPart part) const {
    char* text = nullptr;
    if (curl_url_get(handle, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return "";
    std::string copy(text);
    curl_free(text);
    return copy;
  }

  CURLU* handle;
  bool valid = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Client::Transfer>> Client::Transfer::Create() {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* easy = global == CURLE_OK ? curl_easy_init() : nullptr;
  CURLM* multi = easy != nullptr ? curl_multi_init() : nullptr;
  if (multi == nullptr) {
    curl_easy_cleanup(easy);
    return absl::ResourceExhaustedError("no memory or descriptors for a connection");
  }
  return absl::WrapUnique(new Transfer(easy, multi));
}

Client::Transfer::~Transfer() {
  curl_easy_cleanup(easy_);
  curl_multi_cleanup(multi_);
}

absl::StatusOr<Response> Client::Transfer::Run(const Config& config, const Exchange& exchange) {
  exchange_ = &exchange;
  response_ = {};
  status_ = absl::OkStatus();
  enough_ = false;
  result_ = CURLE_OK;
  error_[0] = '\0';
  if (absl::Status prepared = Prepare(config, exchange); !prepared.ok()) return prepared;
  if (absl::Status driven = Drive(exchange); !driven.ok()) return driven;
  if (!status_.ok()) return status_;
  if (result_ != CURLE_OK && !enough_) {
    const std::string words = error_[0] != '\0' ? error_ : curl_easy_strerror(result_);
    return absl::UnavailableError(absl::StrCat(config.server, ": ", words));
  }
  response_.code = Code();
  curl_off_t retry_after = 0;
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &retry_after);
  response_.retry_after = absl::Seconds(std::clamp<curl_off_t>(retry_after, 0, 24 * 3600));
  const char* content_type = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_CONTENT_TYPE, &content_type);
  if (content_type != nullptr) response_.content_type = content_type;
  return std::move(response_);
}

absl::Status Client::Transfer::Prepare(const Config& config, const Exchange& exchange) {
  const Request& request = exchange.request;
  curl_easy_reset(easy_);
  if (absl::Status address = PrepareAddress(config, request.path); !address.ok()) return address;
  PrepareTls(config, exchange);
  PrepareHeaders(config, exchange);
  if (request.method != "GET") {
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  if (!request.body.empty()) {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, WriteCallback);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, HeaderCallback);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(kConnectTimeout)));
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTFUNCTION, OnSocket);
  return absl::OkStatus();
}

absl::Status Client::Transfer::PrepareAddress(const Config& config, const std::string& path) {
  const std::string whole = config.server + path;
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "https,http");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  if (!config.proxy.empty()) curl_easy_setopt(easy_, CURLOPT_PROXY, config.proxy.c_str());
  connect_to_.reset();
  if (config.tls_server_name.empty()) {
    curl_easy_setopt(easy_, CURLOPT_URL, whole.c_str());
    return absl::OkStatus();
  }
  // The name that the certificate must have becomes the URL's; the connection goes to the address.
  Url url(whole);
  if (!url.valid) return absl::InvalidArgumentError(absl::StrCat(whole, ": is no address"));
  const std::string port = url.Get(CURLUPART_PORT);
  connect_to_.reset(curl_slist_append(nullptr, absl::StrCat(config.tls_server_name, ":", port, ":",
                                                            url.Get(CURLUPART_HOST), ":", port)
                                                   .c_str()));
  curl_url_set(url.handle, CURLUPART_HOST, config.tls_server_name.c_str(), 0);
  curl_easy_setopt(easy_, CURLOPT_URL, url.Get(CURLUPART_URL).c_str());
  curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_.get());
  return absl::OkStatus();
}

void Client::Transfer::PrepareTls(const Config& config, const Exchange& exchange) {
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!exchange.ca_pem.empty()) {
    SetBlob(easy_, CURLOPT_CAINFO_BLOB, exchange.ca_pem);
    curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  }
  SetBlob(easy_, CURLOPT_SSLCERT_BLOB, config.client_certificate_pem);
  SetBlob(easy_, CURLOPT_SSLKEY_BLOB, config.client_key_pem);
}

void Client::Transfer::PrepareHeaders(const Config& config, const Exchange& exchange) {
  const Request& request = exchange.request;
  headers_.reset();
  auto add = [this](const std::string& header) {
    if (curl_slist* grown = curl_slist_append(headers_.get(), header.c_str())) {
      static_cast<void>(headers_.release());
      headers_.reset(grown);
    }
  };
  add(absl::StrCat("Accept: ", request.accept.empty() ? "application/json" : request.accept));
  add("Expect:");
  if (!request.body.empty()) {
    add(absl::StrCat("Content-Type: ",
                     request.content_type.empty() ? "application/json" : request.content_type));
  }
  if (!exchange.token.empty()) add(absl::StrCat("Authorization: Bearer ", exchange.token));
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, absl::StrCat("weft/", ToAbsl(kVersion)).c_str());
  // A compressed stream would come late.
  if (!exchange.on_bytes) curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "gzip");
}

absl::Status Client::Transfer::Drive(const Exchange& exchange) {
  const absl::Time deadline = absl::Now() + exchange.request.timeout;
  last_heard_ = absl::Now();
  curl_multi_add_handle(multi_, easy_);
  absl::Status status;
  while (true) {
    int running = 0;
    if (CURLMcode code = curl_multi_perform(multi_, &running); code != CURLM_OK) {
      status = absl::InternalError(absl::StrCat("libcurl: ", curl_multi_strerror(code)));
      break;
    }
    if (running == 0) break;
    if (exchange.cancellation != nullptr && exchange.cancellation->cancelled()) {
      status = absl::CancelledError("cancelled");
      break;
    }
    const absl::Time now = absl::Now();
    const absl::Time silent = last_heard_ + exchange.silence;
    if (now >= deadline || now >= silent) {
      status = absl::DeadlineExceededError(
          now >= silent ? absl::StrCat("nothing heard for ", absl::FormatDuration(exchange.silence))
                        : absl::StrCat("no complete answer within ",
                                       absl::FormatDuration(exchange.request.timeout)));
      break;
    }
    curl_waitfd cancelled{};
    const bool cancellable =
        exchange.cancellation != nullptr && exchange.cancellation->descriptor() >= 0;
    if (cancellable) {
      cancelled = {
          .fd = exchange.cancellation->descriptor(), .events = CURL_WAIT_POLLIN, .revents = 0};
    }
    // A second at most: should the clock jump, nobody waits for long.
    const absl::Duration wait = std::min({deadline - now, silent - now, absl::Seconds(1)});
    curl_multi_poll(multi_, cancellable ? &cancelled : nullptr, cancellable ? 1 : 0,
                    static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1, nullptr);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg == CURLMSG_DONE) result_ = message->data.result;
  }
  // Closes the connection unless the transfer is complete.
  curl_multi_remove_handle(multi_, easy_);
  return status;
}

absl::StatusOr<bool> Client::Transfer::OnBytes(std::string_view bytes) {
  const int code = Code();
  if (exchange_->on_bytes && code >= 200 && code < 300) return exchange_->on_bytes(bytes);
  if (response_.body.size() + bytes.size() > exchange_->request.max_response_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the answer is larger than ", exchange_->request.max_response_bytes, " bytes"));
  }
  response_.body.append(bytes);
  return true;
}

size_t Client::Transfer::WriteCallback(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.last_heard_ = absl::Now();
  absl::StatusOr<bool> more = transfer.OnBytes({data, size * count});
  if (more.ok() && *more) return size * count;
  transfer.enough_ = more.ok();
  transfer.status_ = more.status();
  return 0;  // breaks off
}

size_t Client::Transfer::HeaderCallback(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.last_heard_ = absl::Now();
  const bool end_of_head = std::string_view(data, size * count) == "\r\n";
  const int code = transfer.Code();
  if (end_of_head && code >= 200 && code < 300 && transfer.exchange_->on_open) {
    transfer.exchange_->on_open();
  }
  return size * count;
}

int Client::Transfer::Code() const {
  long code = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &code);
  return static_cast<int>(code);
}

}  // namespace weft::kubernetes
