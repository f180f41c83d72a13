// meshctl: what an operator asks and tells the mesh.
#include <grpc/support/log.h>

#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/version.h"
#include "tools/meshctl/completion.h"
#include "tools/meshctl/explain.h"
#include "tools/meshctl/lists.h"
#include "tools/meshctl/options.h"
#include "tools/meshctl/token.h"

namespace weft::meshctl {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

// What the command line said; `run` is set by the subcommand it chose.
struct Invocation {
  Options options;
  std::string context;
  std::string kubeconfig;
  bool client_only = false;
  std::string config_workload;
  std::string config_type;
  std::string explain_from;
  std::string explain_method = "GET";
  std::string explain_url;
  std::vector<std::string> explain_headers;
  TokenRequest token;
  std::string shell;
  std::function<absl::Status()> run;
};

void DeclareGlobals(CLI::App& app, Invocation& invocation) {
  Options& options = invocation.options;
  app.add_option("-n,--namespace", options.name_space, "Namespace; lists show all without it")
      ->type_name("NAMESPACE");
  app.add_flag("-A,--all-namespaces", options.all_namespaces, "All namespaces");
  app.add_option_function<std::string>(
         "-o,--output",
         [&options](const std::string& format) {
           options.format = format == "json"   ? Format::kJson
                            : format == "yaml" ? Format::kYaml
                                               : Format::kTable;
         },
         "How to print")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
  app.add_option("--control-plane", options.control_plane, "Where the control plane listens")
      ->type_name("ADDR:PORT")
      ->envname("WEFT_CONTROL_PLANE")
      ->capture_default_str();
  app.add_option("--state", options.state,
                 "The control plane's state directory, for root.pem and operator-token")
      ->type_name("DIR")
      ->envname("WEFT_STATE");
  app.add_option("--context", invocation.context,
                 "Kubernetes context; refused while control planes read directories")
      ->type_name("NAME");
  app.add_option("--kubeconfig", invocation.kubeconfig,
                 "Kubernetes configuration; refused while control planes read directories")
      ->type_name("FILE");
  app.set_version_flag("--version", absl::StrCat("meshctl ", ToAbsl(kVersion)));
}

CLI::App* Command(CLI::App& parent, const std::string& name, const std::string& description,
                  Invocation& invocation, std::function<absl::Status()> run) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->fallthrough();  // global options may stand after the command
  if (run != nullptr) {
    command->final_callback([&invocation, run = std::move(run)] { invocation.run = run; });
  }
  return command;
}

void DeclareLists(CLI::App& app, Invocation& invocation) {
  const Options& options = invocation.options;
  Command(app, "version", "The versions of meshctl and of the control plane", invocation, [&] {
    return PrintVersion(options, invocation.client_only);
  })->add_flag("--client", invocation.client_only, "Only meshctl's own");
  Command(app, "status", "The mesh at a glance, and every mistake found in its objects", invocation,
          [&] { return PrintStatus(options); });
  Command(app, "proxies", "Connected sidecars, and whether they have what they should", invocation,
          [&] { return PrintProxies(options); });
  Command(app, "services", "Services, their endpoints, and the splits in force", invocation,
          [&] { return PrintServices(options); });
  Command(app, "splits", "Traffic splits: weights, shares, state", invocation,
          [&] { return PrintSplits(options); });
  CLI::App* config = Command(app, "config", "What a sidecar was sent", invocation, [&] {
    return PrintConfig(options, invocation.config_workload, invocation.config_type);
  });
  config->add_option("proxy", invocation.config_workload, "NAMESPACE/POD, or POD with -n")
      ->required();
  config->add_option("--type", invocation.config_type, "Only resources of this type")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"Workload", "Destination", "Endpoints", "TrustBundle", "MeshSettings"},
                            CLI::ignore_case));
}

void DeclareRoutes(CLI::App& app, Invocation& invocation) {
  CLI::App* routes = Command(app, "routes", "Where requests go", invocation, nullptr);
  CLI::App* explain = Command(
      *routes, "explain", "Where one request goes, and why, by the sidecar's own matching",
      invocation, [&] {
        return ExplainRoute(invocation.options, invocation.explain_from, invocation.explain_method,
                            invocation.explain_url, invocation.explain_headers);
      });
  explain->add_option("url", invocation.explain_url, "[http://]HOST[:PORT][/PATH]")->required();
  explain
      ->add_option("--from", invocation.explain_from,
                   "Who sends it: NAMESPACE/WORKLOAD, or WORKLOAD with -n")
      ->type_name("WORKLOAD")
      ->required();
  explain->add_option("-X,--method", invocation.explain_method, "Its method")
      ->type_name("METHOD")
      ->capture_default_str();
  explain
      ->add_option("-H,--header", invocation.explain_headers,
                   "A header field of it, \"name: value\"; may be repeated")
      ->type_name("HEADER")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  explain->footer(
      "Example: meshctl routes explain -n shop --from web tea.1/path -H 'cookie: version=beta'");
}

void DeclareToken(CLI::App& app, Invocation& invocation) {
  CLI::App* token = Command(app, "token", "Join tokens for sidecars", invocation, nullptr);
  CLI::App* create = Command(
      *token, "create",
      "Make a token in the control plane's state directory; it is shown once and works at once",
      invocation, [&] { return CreateToken(invocation.options, invocation.token); });
  create
      ->add_option("--service-account", invocation.token.service_account,
                   "Service account of the identity (its namespace is -n)")
      ->type_name("NAME")
      ->required();
  create
      ->add_option("--pod", invocation.token.pod,
                   "Only for this pod; any of the account without it")
      ->type_name("POD");
  create->add_option("--ttl", invocation.token.ttl, "How long it may be used")
      ->type_name("DURATION")
      ->capture_default_str();
  create->add_option("--out", invocation.token.out, "Write it to this file, mode 0600")
      ->type_name("FILE");
}

void DeclareCompletion(CLI::App& app, Invocation& invocation) {
  CLI::App* completion =
      Command(app, "completion", "A completion script for your shell", invocation, [&] {
        std::cout << CompletionScript(app, invocation.shell);
        return absl::OkStatus();
      });
  completion->add_option("shell", invocation.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

absl::Status RefuseClusterOptions(const Invocation& invocation) {
  const std::string given = !invocation.context.empty()      ? "--context"
                            : !invocation.kubeconfig.empty() ? "--kubeconfig"
                                                             : "";
  if (given.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(given,
                   " chooses a Kubernetes cluster, which this meshctl cannot reach yet: name "
                   "the control plane with --control-plane and --state"));
}

int Main(int argc, char** argv) {
  // gRPC would tell about failed connections in its own words beside ours.
  gpr_set_log_function([](gpr_log_func_args*) {});
  CLI::App app("Shows and explains a Weft service mesh.", "meshctl");
  Invocation invocation;
  DeclareGlobals(app, invocation);
  DeclareLists(app, invocation);
  DeclareRoutes(app, invocation);
  DeclareToken(app, invocation);
  DeclareCompletion(app, invocation);
  app.footer(
      "Exit codes: 0 success, 1 error, 2 wrong usage. WEFT_CONTROL_PLANE and WEFT_STATE stand for\n"
      "--control-plane and --state; NO_COLOR turns colours off.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (invocation.run == nullptr) {
    std::cerr << "meshctl: a command is missing; \"meshctl --help\" lists them" << std::endl;
    return kExitUsage;
  }
  absl::Status status = RefuseClusterOptions(invocation);
  if (status.ok()) status = invocation.run();
  if (status.ok()) return 0;
  std::cerr << "meshctl: " << status.message() << std::endl;
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitError;
}

}  // namespace
}  // namespace weft::meshctl

int main(int argc, char** argv) { return weft::meshctl::Main(argc, argv); }
