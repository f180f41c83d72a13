#include "sidecar/tls/context.h"

#include "absl/strings/str_cat.h"
#include "base/x509_certificate.h"
#include "openssl/err.h"

namespace weft::tls {
namespace {

// The mesh's protocols in the server's order of preference, in ALPN's wire form.
constexpr std::string_view kServerAlpn = "\x07weft/h2\x08weft/tcp";

// Of a peer's certificate message: kMaxChain certificates of RSA-4096 take half of it.
constexpr size_t kMaxChainBytes = 32 * 1024;

int SelectAlpn(SSL* /*ssl*/, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
               unsigned in_size, void* /*arg*/) {
  uint8_t* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size,
                            reinterpret_cast<const uint8_t*>(kServerAlpn.data()),
                            kServerAlpn.size(), in, in_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

std::string LibraryError() {
  const uint32_t code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unreadable" : reason;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Context>> Context::Create(const Credentials& credentials) {
  std::shared_ptr<Context> context(new Context);
  context->trust_domain_ = credentials.trust_domain;
  context->ctx_.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* ctx = context->ctx_.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(ctx, kMaxChainBytes);
  SSL_CTX_set1_curves_list(ctx, "X25519:P-256");
  SSL_CTX_set_alpn_select_cb(ctx, &SelectAlpn, nullptr);

  for (size_t i = 0; i < credentials.chain_pem.size(); ++i) {
    absl::StatusOr<x509::Certificate> certificate =
        x509::Certificate::FromPem(credentials.chain_pem[i]);
    if (!certificate.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("chain[", i, "]: ", certificate.status().message()));
    }
    if (i == 0) {
      if (SSL_CTX_use_certificate(ctx, certificate->get()) != 1) {
        return absl::InvalidArgumentError(absl::StrCat("chain[0]: ", LibraryError()));
      }
    } else if (SSL_CTX_add1_chain_cert(ctx, certificate->get()) != 1) {
      return absl::InvalidArgumentError(absl::StrCat("chain[", i, "]: ", LibraryError()));
    }
  }
  if (!credentials.chain_pem.empty() && (SSL_CTX_use_PrivateKey(ctx, credentials.key.get()) != 1 ||
                                         SSL_CTX_check_private_key(ctx) != 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key does not belong to the certificate: ", LibraryError()));
  }

  if (credentials.roots_pem.empty()) return absl::InvalidArgumentError("no trusted roots");
  X509_STORE* store = SSL_CTX_get_cert_store(ctx);
  for (size_t i = 0; i < credentials.roots_pem.size(); ++i) {
    absl::StatusOr<x509::Certificate> root = x509::Certificate::FromPem(credentials.roots_pem[i]);
    if (!root.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("roots[", i, "]: ", root.status().message()));
    }
    X509_STORE_add_cert(store, root->get());
  }
  ERR_clear_error();
  return context;
}

std::shared_ptr<const Context> Context::CreateUnverifying() {
  std::shared_ptr<Context> context(new Context);
  context->verifies_ = false;
  context->ctx_.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* ctx = context->ctx_.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

}  // namespace weft::tls
