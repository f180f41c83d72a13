#include "control-plane/discovery/fleet/certificate.h"

#include <poll.h>
#include <sys/epoll.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/spiffe_id.h"
#include "base/x509_issuer.h"
#include "base/x509_key.h"
#include "control-plane/discovery/fleet/connection.h"
#include "openssl/pem.h"
#include "weft/v1/certificate.pb.h"

namespace weft::discovery::fleet {
namespace {

constexpr std::string_view kHost = "localhost";  // among the names of every control plane
constexpr absl::Duration kPatience = absl::Seconds(20);
// What a request says is ignored: the token decides.
const SpiffeId kAnybody = {"cluster.local", "fleet", "fleet"};

// Listens for one answer.
class Asking final : public Connection::Listener {
 public:
  void OnOpen() override { open = true; }
  void OnMessage(std::string_view message) override { answer = message; }

  bool open = false;
  std::optional<std::string> answer;
};

bssl::UniquePtr<X509> ParseCertificate(std::string_view pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// A client's TLS that trusts the root and speaks HTTP/2.
absl::StatusOr<bssl::UniquePtr<SSL_CTX>> Trusting(std::string_view root_pem) {
  bssl::UniquePtr<SSL_CTX> tls(SSL_CTX_new(TLS_method()));
  const bssl::UniquePtr<X509> root = ParseCertificate(root_pem);
  if (tls == nullptr || root == nullptr ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(tls.get()), root.get()) != 1) {
    return x509::CryptoError(absl::StatusCode::kInvalidArgument, "reading the root");
  }
  SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(tls.get()), kHost.data(), kHost.size());
  SSL_CTX_set_min_proto_version(tls.get(), TLS1_3_VERSION);
  SSL_CTX_set_mode(tls.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  static constexpr uint8_t kAlpn[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(tls.get(), kAlpn, sizeof(kAlpn));
  return tls;
}

absl::StatusOr<v1::SignResponse> Ask(const Enrolment& enrolment, SSL_CTX& tls,
                                     const v1::SignRequest& request) {
  Traffic ignored;
  Asking asking;
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Dial(enrolment.control_plane, tls, asking, ignored);
  if (!connection.ok()) return connection.status();
  const absl::Time deadline = absl::Now() + kPatience;
  bool asked = false;
  while (!asking.answer.has_value()) {
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError("the control plane signs no certificate");
    }
    const short events = ((*connection)->Wanted() & EPOLLOUT) != 0 ? POLLIN | POLLOUT : POLLIN;
    pollfd ready{.fd = (*connection)->descriptor(), .events = events, .revents = 0};
    poll(&ready, 1, 100);
    const absl::Status driven = (*connection)->Drive();
    if (!driven.ok() && !asking.answer.has_value()) return driven;
    if (asking.open && !std::exchange(asked, true)) {
      (*connection)->Call("/weft.v1.CertificateService/Sign", enrolment.join_token);
      (*connection)->Send(request.SerializeAsString(), true);
      if (absl::Status sent = (*connection)->Drive(); !sent.ok()) return sent;
    }
  }
  v1::SignResponse response;
  if (!response.ParseFromString(*asking.answer) || response.chain_pem().empty()) {
    return absl::InternalError("the answer to Sign is malformed");
  }
  return response;
}

}  // namespace

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> Enrol(const Enrolment& enrolment) {
  absl::StatusOr<bssl::UniquePtr<SSL_CTX>> tls = Trusting(enrolment.root_pem);
  if (!tls.ok()) return tls.status();
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
  if (!key.ok()) return key.status();
  absl::StatusOr<std::string> csr = x509::CreateRequest(*key, kAnybody);
  if (!csr.ok()) return csr.status();
  v1::SignRequest request;
  request.set_csr_pem(*csr);
  request.set_workload(enrolment.workload);
  absl::StatusOr<v1::SignResponse> signed_one = Ask(enrolment, **tls, request);
  if (!signed_one.ok()) return signed_one.status();

  if (SSL_CTX_use_PrivateKey(tls->get(), key->get()) != 1) {
    return x509::CryptoError(absl::StatusCode::kInternal, "using the key");
  }
  bool first = true;
  for (const std::string& pem : signed_one->chain_pem()) {
    bssl::UniquePtr<X509> certificate = ParseCertificate(pem);
    const int used = certificate == nullptr ? 0
                     : std::exchange(first, false)
                         ? SSL_CTX_use_certificate(tls->get(), certificate.get())
                         : SSL_CTX_add1_chain_cert(tls->get(), certificate.get());
    if (used != 1) return x509::CryptoError(absl::StatusCode::kInternal, "using the certificate");
  }
  return tls;
}

}  // namespace weft::discovery::fleet
