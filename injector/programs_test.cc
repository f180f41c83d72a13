// weft-injector as it runs in a cluster: between an API server and the mesh's CA.
#include <fcntl.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <httplib.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/kubernetes/api_server_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/json.h"
#include "injector/webhook/authority_for_test.h"
#include "weft/v1/certificate.grpc.pb.h"

namespace weft {
namespace {

using inject::Json;
using kubernetes::ApiServerForTest;
using ::testing::HasSubstr;

constexpr char kProgram[] = "injector/weft-injector";
constexpr char kConfigurations[] = "/apis/admissionregistration.k8s.io/v1/";
constexpr absl::Duration kDeadline = absl::Seconds(60);

std::string Read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kDeadline;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

// The mesh's CA, as the control plane serves it.
class CertificateService final : public v1::CertificateService::Service {
 public:
  explicit CertificateService(webhook::AuthorityForTest& authority) : authority_(authority) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({std::string(data, static_cast<size_t>(size)),
                                          authority.Sign(*webhook::CreateRequest(key))->chain_pem});
    BIO_free(bio);
    EVP_PKEY_free(key);
    server_ = grpc::ServerBuilder()
                  .AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_)
                  .RegisterService(this)
                  .BuildAndStart();
  }
  ~CertificateService() override { server_->Shutdown(); }

  grpc::Status Sign(grpc::ServerContext* context, const v1::SignRequest* request,
                    v1::SignResponse* response) override {
    const auto bearer = context->client_metadata().find("authorization");
    if (bearer == context->client_metadata().end() || bearer->second != "Bearer our-token") {
      return {grpc::StatusCode::UNAUTHENTICATED, "who are you?"};
    }
    if (request->workload() != "weft-system/weft-injector-0") {
      return {grpc::StatusCode::PERMISSION_DENIED, "not your pod"};
    }
    const webhook::Signed result = *authority_.Sign(request->csr_pem());
    response->add_chain_pem(result.chain_pem);
    for (const std::string& root : result.roots_pem) response->add_roots_pem(root);
    return grpc::Status::OK;
  }

  std::string address() const { return absl::StrCat("localhost:", port_); }

 private:
  webhook::AuthorityForTest& authority_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class ProgramsTest : public ::testing::Test {
 protected:
  ProgramsTest() : authority_service_(authority_) {
    std::filesystem::create_directories(directory_);
    // With sanitizers: Debian's resolver keeps what it has allocated until the process ends.
    Write("lsan.supp", "leak:libcares.so\n");
    setenv("LSAN_OPTIONS", absl::StrCat("suppressions=", Path("lsan.supp")).c_str(), 1);
    Write("root.pem", authority_.Root());
    Write("token", "our-token\n");
    Write("settings.yaml", "image: registry.example/sidecar:1\n");
    const kubernetes::Config config = api_.config();
    Write("kubeconfig",
          absl::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                       "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                       "clusters: [{name: k, cluster: {server: '",
                       config.server,
                       "', certificate-authority-data: ", absl::Base64Escape(config.ca_pem),
                       "}}]\nusers: [{name: u, user: {token: ", config.token, "}}]\n"));
    for (const char* resource :
         {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}) {
      configurations_[absl::StrCat(kConfigurations, resource, "/weft-injector")] =
          Json::parse(R"({"webhooks":[{"name":"a","clientConfig":{"service":{"name":"x"}}}]})");
    }
    api_.SetHandler([this](const ApiServerForTest::Call& call, ApiServerForTest::Reply& reply) {
      const std::lock_guard lock(mutex_);
      const auto it = configurations_.find(call.target.substr(0, call.target.find('?')));
      if (it == configurations_.end()) return false;
      if (call.method == "PATCH") it->second = it->second.patch(Json::parse(call.body));
      reply = {.code = 200, .body = inject::Dump(it->second)};
      return true;
    });
  }

  ~ProgramsTest() override {
    if (pid_ > 0) Stop();
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
  }
  std::string Path(const std::string& name) const { return absl::StrCat(directory_, "/", name); }

  void Start() {
    const std::vector<std::string> arguments = {
        kProgram,
        "--namespace=weft-system",
        "--workload=weft-system/weft-injector-0",
        "--listen=127.0.0.1:0",
        "--http-listen=127.0.0.1:0",
        "--drain-delay=0s",
        absl::StrCat("--kubeconfig=", Path("kubeconfig")),
        absl::StrCat("--settings=", Path("settings.yaml")),
        absl::StrCat("--trust-bundle=", Path("root.pem")),
        absl::StrCat("--join-token-file=", Path("token")),
        absl::StrCat("--control-plane=", authority_service_.address())};
    pid_ = fork();
    if (pid_ == 0) {
      std::vector<char*> argv;
      for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
      }
      argv.push_back(nullptr);
      dup2(open(Path("log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      execv(argv[0], argv.data());
      _exit(127);
    }
    ASSERT_TRUE(Eventually([this] {
      const std::string log = Read(Path("log"));
      const size_t at = log.find("HTTPS on port ");
      return at != std::string::npos &&
             std::sscanf(log.c_str() + at, "HTTPS on port %d, HTTP on port %d", &https_port_,
                         &http_port_) == 2;
    })) << Read(Path("log"));
  }

  int Stop() {
    kill(pid_, SIGTERM);
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  int StatusOf(const std::string& path) {
    const auto response = httplib::Client("127.0.0.1", http_port_).Get(path);
    return response ? response->status : 0;
  }

  // A review as an API server sends it that believes nothing but the caBundle.
  std::string Post(const std::string& path, const Json& object, const std::string& kind) {
    std::string bundle;
    {
      const std::lock_guard lock(mutex_);
      absl::Base64Unescape(configurations_.begin()
                               ->second["webhooks"][0]["clientConfig"]["caBundle"]
                               .get<std::string>(),
                           &bundle);
    }
    Json review = Json::parse(
        R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":)"
        R"({"uid":"u","kind":{"group":"","version":"v1"},"namespace":"shop","operation":"CREATE"}})");
    review["request"]["kind"]["kind"] = kind;
    const std::string version = object.value("apiVersion", "v1");
    if (const size_t slash = version.find('/'); slash != std::string::npos) {
      review["request"]["kind"]["group"] = version.substr(0, slash);
      review["request"]["kind"]["version"] = version.substr(slash + 1);
    }
    review["request"]["object"] = object;
    httplib::SSLClient client("localhost", https_port_);
    BIO* bio = BIO_new_mem_buf(bundle.data(), static_cast<int>(bundle.size()));
    X509* root = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    X509_STORE* store = X509_STORE_new();
    X509_STORE_add_cert(store, root);
    X509_free(root);
    client.set_ca_cert_store(store);
    client.enable_server_certificate_verification(true);
    const auto response = client.Post(path, inject::Dump(review), "application/json");
    return response ? response->body : httplib::to_string(response.error());
  }

  const std::string directory_ = absl::StrCat(::testing::TempDir(), "/injector");
  webhook::AuthorityForTest authority_;
  CertificateService authority_service_;
  ApiServerForTest api_;
  std::mutex mutex_;
  std::map<std::string, Json> configurations_;
  pid_t pid_ = -1;
  int https_port_ = 0;
  int http_port_ = 0;
};

TEST_F(ProgramsTest, BecomesReadyInjectsAndChecks) {
  Start();
  EXPECT_EQ(StatusOf("/healthz/live"), 200);
  EXPECT_EQ(StatusOf("/healthz/ready"), 503) << "the namespaces are not known yet";
  const auto watch = api_.AwaitWatch("/api/v1/namespaces");
  ASSERT_NE(watch, nullptr);
  watch->Send(R"({"type":"ADDED","object":{"metadata":{"name":"shop","resourceVersion":"1",)"
              R"("annotations":{"weft.io/inject":"enabled"}}}})"
              "\n"
              R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1",)"
              R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
              "\n");
  ASSERT_TRUE(Eventually([this] { return StatusOf("/healthz/ready") == 200; }))
      << Read(Path("log"));

  const Json pod = Json::parse(
      R"({"apiVersion":"v1","metadata":{"generateName":"web-"},"spec":{"containers":[{"name":"a"}]}})");
  const Json answer = Json::parse(Post("/mutate", pod, "Pod"), nullptr, false);
  ASSERT_TRUE(answer.is_object());
  std::string patch;
  ASSERT_TRUE(absl::Base64Unescape(inject::StringAt(answer["response"], "patch"), &patch));
  EXPECT_EQ(pod.patch(Json::parse(patch))["spec"]["initContainers"][1]["image"],
            "registry.example/sidecar:1");

  const Json split =
      Json::parse(R"({"apiVersion":"split.smi-spec.io/v1alpha3","kind":"TrafficSplit",)"
                  R"("metadata":{"name":"s"},"spec":{"service":"tea","backends":[]}})");
  EXPECT_THAT(Post("/validate", split, "TrafficSplit"), HasSubstr("spec.backends: there are no"));

  // Somebody applies the chart's manifests again.
  {
    const std::lock_guard lock(mutex_);
    configurations_.begin()->second["webhooks"][0]["clientConfig"].erase("caBundle");
  }
  EXPECT_TRUE(Eventually([this] {
    const std::lock_guard lock(mutex_);
    return configurations_.begin()->second["webhooks"][0]["clientConfig"].contains("caBundle");
  }));

  // The administrator changes the settings.
  Write("settings.new", "image: registry.example/sidecar:2\n");
  std::filesystem::rename(Path("settings.new"), Path("settings.yaml"));
  EXPECT_TRUE(Eventually([&] {
    const Json changed = Json::parse(Post("/mutate", pod, "Pod"), nullptr, false);
    std::string text;
    absl::Base64Unescape(inject::StringAt(changed["response"], "patch"), &text);
    return text.find("sidecar:2") != std::string::npos;
  }));
  EXPECT_EQ(Stop(), 0);
  EXPECT_EQ(Read(Path("log")).find("our-token"), std::string::npos);
}

TEST_F(ProgramsTest, AMistakeAtTheStartIsNamed) {
  const struct {
    std::string arguments;
    int code;
    const char* error;
  } cases[] = {
      {"--nonsense", 2, "nonsense"},
      {"--kubeconfig=/nowhere", 1, "/nowhere"},
      {"--settings=/nowhere", 1, "/nowhere"},
      {"--log-level=loud", 2, "loud"},
  };
  for (const auto& test : cases) {
    const std::string command =
        absl::StrCat(kProgram, " ", test.arguments, " > ", Path("out"), " 2>&1");
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), test.code) << Read(Path("out"));
    EXPECT_THAT(Read(Path("out")), HasSubstr(test.error));
  }
}

}  // namespace
}  // namespace weft
