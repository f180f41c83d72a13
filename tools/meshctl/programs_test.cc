// meshctl and weft-control-plane as users run them: real processes, files, TLS.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kMeshctl[] = "tools/meshctl/meshctl";
constexpr char kControlPlane[] = "control-plane/weft-control-plane";
constexpr absl::Duration kDeadline = absl::Seconds(30);

constexpr char kShop[] = R"(
apiVersion: v1
kind: Service
metadata: {name: tea.1, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {v: "1"}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: tea.2, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {v: "2"}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: beta, namespace: shop}
spec: {matches: [{name: cookie, headers: {cookie: "version=beta"}}]}
---
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata: {name: canary, namespace: shop}
spec:
  service: tea.1
  backends: [{service: tea.1, weight: 0}, {service: tea.2, weight: 100}]
  matches: [{kind: HTTPRouteGroup, name: beta}]
)";

std::string Read(const std::string& path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

// A child process whose output goes to files; killed with the object.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::string& out,
          const std::string& err) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int signal) const { kill(pid_, signal); }

  // The exit code.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
};

struct Result {
  int code;
  std::string out;
  std::string err;
};

class ProgramsTest : public ::testing::Test {
 protected:
  ProgramsTest() {
    std::filesystem::create_directory(directory_ / "m");
    std::ofstream(directory_ / "m/shop.yaml") << kShop;
  }

  Result Run(std::vector<std::string> arguments) {
    Process process(arguments, directory_ / "out", directory_ / "err");
    const int code = process.Wait();
    return {code, Read(directory_ / "out"), Read(directory_ / "err")};
  }

  Result Meshctl(std::vector<std::string> arguments) {
    std::vector<std::string> all = {kMeshctl, "--control-plane", address_, "--state",
                                    directory_ / "state"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Run(std::move(all));
  }

  // Starts the control plane on free ports and learns them from its log.
  void StartControlPlane() {
    std::filesystem::remove(directory_ / "cp.log");  // of an earlier one
    control_plane_ = std::make_unique<Process>(
        std::vector<std::string>{kControlPlane, "--source", "dir:" + (directory_ / "m"), "--state",
                                 directory_ / "state", "--listen", "127.0.0.1:0", "--http-listen",
                                 "127.0.0.1:0"},
        directory_ / "cp.out", directory_ / "cp.log");
    const absl::Time deadline = absl::Now() + kDeadline;
    while (absl::Now() < deadline) {
      const std::string log = Read(directory_ / "cp.log");
      const std::string marker = "gRPC listens on 127.0.0.1:0 port ";
      const size_t at = log.find(marker);
      if (at != std::string::npos && log.find("serves trust domain") != std::string::npos) {
        const size_t start = at + marker.size();
        address_ = absl::StrCat("127.0.0.1:", log.substr(start, log.find('\n', start) - start));
        return;
      }
    }
    FAIL() << "the control plane does not serve: " << Read(directory_ / "cp.log");
  }

  const ca::TemporaryDirectory directory_;
  std::string address_ = "127.0.0.1:1";
  std::unique_ptr<Process> control_plane_;
};

google::protobuf::Struct ParseJson(const std::string& json) {
  google::protobuf::Struct parsed;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &parsed).ok()) << json;
  return parsed;
}

TEST_F(ProgramsTest, AnOperatorSeesTheMesh) {
  StartControlPlane();
  EXPECT_THAT(Meshctl({"version"}).out, HasSubstr("control plane  0."));
  const Result status = Meshctl({"status"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("2 with 0 endpoints"));
  EXPECT_THAT(status.out, Not(HasSubstr("\033[")));
  const google::protobuf::Struct json = ParseJson(Meshctl({"status", "-o", "json"}).out);
  EXPECT_EQ(json.fields().at("trustDomain").string_value(), "cluster.local");
  EXPECT_EQ(json.fields().at("services").number_value(), 2);
  EXPECT_EQ(json.fields().at("connectedProxies").number_value(), 0);
  EXPECT_THAT(Meshctl({"services", "-n", "shop"}).out, HasSubstr("tea.2"));
  EXPECT_THAT(Meshctl({"services", "-n", "elsewhere"}).err, HasSubstr("No services"));
  EXPECT_THAT(Meshctl({"services", "-n", "elsewhere", "-A"}).out, HasSubstr("tea.2"));
  EXPECT_THAT(Meshctl({"splits", "-o", "yaml"}).out, HasSubstr("rootService: tea.1"));
  EXPECT_THAT(Meshctl({"proxies"}).err, HasSubstr("No sidecars"));
  const Result config = Meshctl({"config", "shop/web"});
  EXPECT_EQ(config.code, 1);
  EXPECT_THAT(config.err, HasSubstr("no sidecar of shop/web"));
}

TEST_F(ProgramsTest, RoutesAreExplainedByCookie) {
  StartControlPlane();
  const Result beta = Meshctl({"routes", "explain", "-n", "shop", "--from", "web", "tea.1/path",
                               "-X", "POST", "-H", "cookie: version=beta"});
  EXPECT_EQ(beta.code, 0) << beta.err;
  EXPECT_THAT(beta.out, HasSubstr("POST http://tea.1/path from shop/web"));
  EXPECT_THAT(beta.out, HasSubstr("rule 1 of 2"));
  EXPECT_THAT(beta.out, HasSubstr("shop/tea.2"));
  const Result others = Meshctl({"routes", "explain", "--from", "shop/web", "-o", "json",
                                 "http://tea.1.shop.svc.cluster.local/"});
  EXPECT_EQ(ParseJson(others.out).fields().at("decidedBy").number_value(), 2) << others.out;
  EXPECT_EQ(Meshctl({"routes", "explain", "--from", "web", "tea.1"}).code, 2);
  EXPECT_EQ(Meshctl({"routes", "explain", "tea.1"}).code, 2);
  EXPECT_EQ(Meshctl({"routes", "explain", "--from", "shop/web", "ftp://tea.1"}).code, 2);
  EXPECT_EQ(Meshctl({"routes", "explain", "--from", "shop/web", "tea.1", "-H", "no colon"}).code,
            2);
}

TEST_F(ProgramsTest, TokensAreMadeOfflineAndShownOnce) {
  const Result too_early = Meshctl({"token", "create", "-n", "shop", "--service-account", "tea"});
  EXPECT_EQ(too_early.code, 1);
  EXPECT_THAT(too_early.err, HasSubstr("does not exist"));
  StartControlPlane();
  const Result shown = Meshctl({"token", "create", "-n", "shop", "--service-account", "tea"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, MatchesRegex("weft-join-[A-Za-z0-9_-]{43}\n"));
  const std::string file = directory_ / "token";
  std::ofstream(file)
      << "older and longer than any token can be, so that what is left would show up";
  chmod(file.c_str(), 0644);
  const Result written = Meshctl({"token", "create", "-n", "shop", "--service-account", "tea",
                                  "--pod", "tea-1", "--ttl", "5m", "--out", file});
  EXPECT_EQ(written.code, 0) << written.err;
  EXPECT_EQ(written.out, "");
  EXPECT_THAT(Read(file), MatchesRegex("weft-join-[A-Za-z0-9_-]{43}\n"));
  struct stat info = {};
  stat(file.c_str(), &info);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"token", "create", "--service-account", "tea"},
           {"token", "create", "-n", "shop"},
           {"token", "create", "-n", "shop", "--service-account", "T"},
           {"token", "create", "-n", "shop", "--service-account", "tea", "--ttl", "soon"},
           {"token", "create", "-n", "shop", "--service-account", "tea", "--pod", "bank/x"},
           {"token"}}) {
    EXPECT_EQ(Meshctl(wrong).code, 2);
  }
}

TEST_F(ProgramsTest, ErrorsSayWhatToDo) {
  StartControlPlane();
  const std::string state = directory_ / "state";
  const Result unreachable =
      Run({kMeshctl, "--control-plane", "127.0.0.1:1", "--state", state, "status"});
  EXPECT_EQ(unreachable.code, 1);
  EXPECT_THAT(unreachable.err, HasSubstr("is it running"));
  const Result no_state = Run({kMeshctl, "--control-plane", address_, "status"});
  EXPECT_EQ(no_state.code, 2);
  EXPECT_THAT(no_state.err, HasSubstr("--state"));
  // A state directory of another mesh: its root does not fit.
  const std::string other = directory_ / "other";
  std::filesystem::create_directory(other);
  chmod(other.c_str(), 0700);
  std::filesystem::copy(state + "/operator-token", other + "/operator-token");
  std::ofstream(other + "/root.pem") << "nonsense";
  EXPECT_THAT(Run({kMeshctl, "--control-plane", address_, "--state", other, "status"}).err,
              HasSubstr("root.pem"));
  Run({"/bin/sh", "-c",
       absl::StrCat("timeout 2 ", kControlPlane, " --source dir:", directory_ / "m", " --state ",
                    directory_ / "third", " --listen 127.0.0.1:0 --http-listen 127.0.0.1:0")});
  const Result wrong_root =
      Run({kMeshctl, "--control-plane", address_, "--state", directory_ / "third", "status"});
  EXPECT_EQ(wrong_root.code, 1);
  EXPECT_THAT(wrong_root.err, HasSubstr("does not chain to the root"));
  // The right root with another's token.
  std::filesystem::copy_file(directory_ / "third/operator-token", other + "/operator-token",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(state + "/root.pem", other + "/root.pem",
                             std::filesystem::copy_options::overwrite_existing);
  chmod((other + "/operator-token").c_str(), 0600);
  const Result wrong_token =
      Run({kMeshctl, "--control-plane", address_, "--state", other, "status"});
  EXPECT_EQ(wrong_token.code, 1);
  EXPECT_THAT(wrong_token.err, HasSubstr("does not accept the token"));
  for (const char* flag : {"--context", "--kubeconfig"}) {
    const Result refused = Meshctl({"status", flag, "x"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.err, HasSubstr(flag));
  }
}

TEST_F(ProgramsTest, ProgramsExplainThemselvesAndRefuseUnknownFlags) {
  for (const char* program : {kMeshctl, kControlPlane}) {
    const Result help = Run({program, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_GT(help.out.size(), 500U);
    EXPECT_THAT(Run({program, "--version"}).out, HasSubstr(" 0."));
    const Result unknown = Run({program, "--no-such-flag"});
    EXPECT_EQ(unknown.code, 2);
    EXPECT_THAT(unknown.err, HasSubstr("--no-such-flag"));
  }
  struct Case {
    std::vector<std::string> flags;
    const char* error;
  };
  const std::string source = "dir:" + (directory_ / "m");
  const std::string state = directory_ / "state";
  for (const Case& c : std::vector<Case>{
           {{"--state", state}, "--source"},
           {{"--source", source}, "--state"},
           {{"--source", "ftp:x", "--state", state}, "dir:PATH"},
           {{"--source", source, "--state", state, "--leaf-lifetime", "x"}, "--leaf-lifetime"},
           {{"--source", source, "--state", state, "--leaf-lifetime", "1ms"}, "--leaf-lifetime"},
           {{"--source", source, "--state", state, "--trust-domain", "A B"}, "--trust-domain"},
           {{"--source", source, "--state", state, "--log-level", "loud"}, "log level"},
       }) {
    std::vector<std::string> all = {kControlPlane};
    all.insert(all.end(), c.flags.begin(), c.flags.end());
    const Result result = Run(all);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(c.error));
  }
}

TEST_F(ProgramsTest, ACorruptCaStopsTheControlPlaneWithTheRemedy) {
  std::filesystem::create_directory(directory_ / "state");
  chmod((directory_ / "state").c_str(), 0700);
  std::ofstream(directory_ / "state/ca.pem") << "garbage";
  chmod((directory_ / "state/ca.pem").c_str(), 0600);
  const Result result = Run({kControlPlane, "--source", "dir:" + (directory_ / "m"), "--state",
                             directory_ / "state", "--listen", "127.0.0.1:0"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("from a backup"));
  EXPECT_EQ(Read(directory_ / "state/ca.pem"), "garbage");
}

TEST_F(ProgramsTest, SigtermEndsItCleanlyAndARestartKeepsTheMesh) {
  StartControlPlane();
  const std::string root = Read(directory_ / "state/root.pem");
  const std::string token = Read(directory_ / "state/operator-token");
  control_plane_->Signal(SIGTERM);
  EXPECT_EQ(control_plane_->Wait(), 0);
  StartControlPlane();
  EXPECT_EQ(Read(directory_ / "state/root.pem"), root);
  EXPECT_EQ(Read(directory_ / "state/operator-token"), token);
  EXPECT_EQ(Meshctl({"status"}).code, 0);
}

TEST_F(ProgramsTest, CompletionScriptsKnowTheCommands) {
  const Result bash = Meshctl({"completion", "bash"});
  std::ofstream(directory_ / "completion.bash") << bash.out;
  const Result completed =
      Run({"/bin/bash", "-c",
           absl::StrCat("source ", directory_ / "completion.bash",
                        "; COMP_WORDS=(meshctl routes explain --met); COMP_CWORD=3; _meshctl; echo "
                        "\"${COMPREPLY[@]}\"; COMP_WORDS=(meshctl s); COMP_CWORD=1; _meshctl; echo "
                        "\"${COMPREPLY[@]}\"")});
  EXPECT_EQ(completed.out, "--method\nstatus services splits\n") << completed.err;
  EXPECT_THAT(Meshctl({"completion", "zsh"}).out, StartsWith("#compdef meshctl\n"));
  EXPECT_THAT(Meshctl({"completion", "fish"}).out, HasSubstr("-a explain"));
  EXPECT_EQ(Meshctl({"completion", "tcsh"}).code, 2);
}

}  // namespace
}  // namespace weft
