#include "base/kubernetes/api_server_for_test.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace weft::kubernetes {
namespace {

using std::chrono::seconds;

constexpr size_t kThreads = 64;  // a watch occupies one

// A key and a self-signed certificate for 127.0.0.1.
struct Identity {
  Identity() : key(EVP_EC_gen("P-256")), certificate(X509_new()) {
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("api"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    Add(NID_basic_constraints, "critical,CA:TRUE");
    Add(NID_subject_alt_name, "IP:127.0.0.1,DNS:kubernetes.default.svc");
    X509_sign(certificate, key, EVP_sha256());
  }
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  void Add(int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  std::string Pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<size_t>(size));
    BIO_free(bio);
    return pem;
  }

  EVP_PKEY* key;
  X509* certificate;
};

}  // namespace

void WatchForTest::Send(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  chunks_.emplace_back(bytes);
  changed_.notify_all();
}

void WatchForTest::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void WatchForTest::Break() {
  const std::lock_guard lock(mutex_);
  ended_ = broken_ = true;
  changed_.notify_all();
}

bool WatchForTest::Next(std::string& bytes, bool& clean) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_ || !chunks_.empty(); });
  if (chunks_.empty()) {
    clean = !broken_;
    return false;
  }
  bytes = std::move(chunks_.front());
  chunks_.pop_front();
  return true;
}

ApiServerForTest::ApiServerForTest(int port, const std::string& authority) {
  static std::map<std::string, Identity> identities;
  const Identity& identity = identities[authority];
  certificate_pem_ = identity.Pem();
  server_ = std::make_unique<httplib::SSLServer>(identity.certificate, identity.key);
  server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server_->set_keep_alive_max_count(1000);
  auto answer = [this](const httplib::Request& request, httplib::Response& response) {
    Answer(request, response);
  };
  server_->Get(".*", answer)
      .Post(".*", answer)
      .Put(".*", answer)
      .Patch(".*", answer)
      .Delete(".*", answer);
  const bool bound = port == 0 ? (port_ = server_->bind_to_any_port("127.0.0.1")) > 0
                               : server_->bind_to_port("127.0.0.1", port_ = port);
  if (!bound) std::abort();
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

ApiServerForTest::~ApiServerForTest() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& watch : open_) watch->Break();
  }
  server_->stop();
  thread_.join();
}

Config ApiServerForTest::config() const {
  Config config;
  config.server = "https://127.0.0.1:" + std::to_string(port_);
  config.ca_pem = certificate_pem_;
  config.token = "token-1";
  return config;
}

void ApiServerForTest::Say(const std::string& path, Reply reply) {
  const std::lock_guard lock(mutex_);
  replies_[path] = std::move(reply);
}

void ApiServerForTest::SayOnce(const std::string& path, Reply reply) {
  const std::lock_guard lock(mutex_);
  once_[path].push_back(std::move(reply));
}

void ApiServerForTest::RefuseWatch(const std::string& path, Reply reply) {
  const std::lock_guard lock(mutex_);
  refusals_[path].push_back(std::move(reply));
}

void ApiServerForTest::SetHandler(std::function<bool(const Call&, Reply&)> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

std::shared_ptr<WatchForTest> ApiServerForTest::AwaitWatch(const std::string& path) {
  std::unique_lock lock(mutex_);
  auto& watches = watches_[path];
  if (!watch_came_.wait_for(lock, seconds(10), [&] { return !watches.empty(); })) return nullptr;
  std::shared_ptr<WatchForTest> watch = watches.front();
  watches.pop_front();
  return watch;
}

std::vector<ApiServerForTest::Call> ApiServerForTest::Calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<std::string> ApiServerForTest::Targets(std::string_view part) const {
  std::vector<std::string> targets;
  for (const Call& call : Calls()) {
    if (call.target.find(part) != std::string::npos) targets.push_back(call.target);
  }
  return targets;
}

ApiServerForTest::Reply ApiServerForTest::ReplyTo(const Call& call, const std::string& path,
                                                  bool watch) {
  std::function<bool(const Call&, Reply&)> handler;
  {
    const std::lock_guard lock(mutex_);
    handler = handler_;
  }
  Reply reply;
  if (handler && handler(call, reply)) return reply;
  const std::lock_guard lock(mutex_);
  auto& queued = watch ? refusals_[path] : once_[path];
  if (!queued.empty()) {
    reply = std::move(queued.front());
    queued.pop_front();
    return reply;
  }
  if (watch) return {.code = 0};  // accepted
  auto it = replies_.find(path);
  if (it != replies_.end()) return it->second;
  return {.code = 404, .body = "404 page not found\n", .content_type = "text/plain"};
}

void ApiServerForTest::Answer(const httplib::Request& request, httplib::Response& response) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  const bool watch = request.get_param_value("watch") == "true";
  const Call call{.method = request.method,
                  .target = request.target,
                  .body = request.body,
                  .headers = {request.headers.begin(), request.headers.end()}};
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back(call);
  }
  const Reply reply = ReplyTo(call, path, watch);
  if (reply.code != 0) {
    response.status = reply.code;
    for (const auto& [name, value] : reply.headers) response.set_header(name, value);
    response.set_content(reply.body, reply.content_type);
    return;
  }
  auto opened = std::make_shared<WatchForTest>(request.target);
  {
    const std::lock_guard lock(mutex_);
    watches_[path].push_back(opened);
    open_.push_back(opened);
    watch_came_.notify_all();
  }
  response.set_chunked_content_provider("application/json",
                                        [opened](size_t, httplib::DataSink& sink) {
                                          std::string bytes;
                                          bool clean = false;
                                          if (opened->Next(bytes, clean))
                                            return sink.write(bytes.data(), bytes.size());
                                          if (clean) sink.done();
                                          return clean;
                                        });
}

}  // namespace weft::kubernetes
