// One request and its response on a connection that can be used again.
#ifndef WEFT_BASE_KUBERNETES_TRANSFER_H_
#define WEFT_BASE_KUBERNETES_TRANSFER_H_

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/kubernetes/client.h"

namespace weft::kubernetes {

// Used by one thread at a time.
class Client::Transfer {
 public:
  // What is asked, and what bounds the answer.
  struct Exchange {
    Request request;
    std::string ca_pem;
    std::string token;
    // Takes the bytes of a 2xx response; false ends the transfer, which is OK then. Unset: they go
    // to Response::body. An error ends the transfer with it.
    std::function<absl::StatusOr<bool>(std::string_view)> on_bytes;
    // Called at the end of the head of a 2xx response.
    std::function<void()> on_open = nullptr;
    absl::Duration silence = absl::InfiniteDuration();
    const Cancellation* cancellation = nullptr;
  };

  // ResourceExhausted: no memory or descriptors.
  static absl::StatusOr<std::unique_ptr<Transfer>> Create();
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  absl::StatusOr<Response> Run(const Config& config, const Exchange& exchange);

  // Whether the last Run failed because the server's certificate did not verify.
  bool certificate_refused() const { return result_ == CURLE_PEER_FAILED_VERIFICATION; }

 private:
  struct Free {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  using List = std::unique_ptr<curl_slist, Free>;

  Transfer(CURL* easy, CURLM* multi) : easy_(easy), multi_(multi) {}

  absl::Status Prepare(const Config& config, const Exchange& exchange);
  absl::Status PrepareAddress(const Config& config, const std::string& path);
  void PrepareTls(const Config& config, const Exchange& exchange);
  void PrepareHeaders(const Config& config, const Exchange& exchange);
  // Drives the transfer to its end; an error is one of ours (time, cancellation).
  absl::Status Drive(const Exchange& exchange);
  absl::StatusOr<bool> OnBytes(std::string_view bytes);
  static size_t WriteCallback(char* data, size_t size, size_t count, void* self);
  static size_t HeaderCallback(char* data, size_t size, size_t count, void* self);
  int Code() const;

  CURL* const easy_;
  CURLM* const multi_;  // keeps the connection
  List headers_;
  List connect_to_;
  char error_[CURL_ERROR_SIZE] = {};

  // Of the current Run.
  const Exchange* exchange_ = nullptr;
  Response response_;
  absl::Status status_;  // our own reason to break off
  bool enough_ = false;  // on_bytes wants no more
  absl::Time last_heard_;
  CURLcode result_ = CURLE_OK;
};

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_TRANSFER_H_
