// meshctl: what an operator asks and tells the mesh.
#include <grpc/support/log.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/version.h"
#include "tools/meshctl/ca.h"
#include "tools/meshctl/check.h"
#include "tools/meshctl/completion.h"
#include "tools/meshctl/explain.h"
#include "tools/meshctl/inject.h"
#include "tools/meshctl/install.h"
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
  bool client_only = false;
  bool check_before = false;
  Installation installation;
  std::string config_workload;
  std::string config_type;
  std::string explain_from;
  std::string explain_method = "GET";
  std::string explain_url;
  std::vector<std::string> explain_headers;
  TokenRequest token;
  InjectRequest inject;
  CaRotation rotation;
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
  app.add_option("--context", options.context,
                 "Kubernetes context; kubectl's current one without it")
      ->type_name("NAME");
  app.add_option("--kubeconfig", options.kubeconfig,
                 "Kubernetes configuration; kubectl's without it")
      ->type_name("FILE");
  app.add_option("--mesh-namespace", options.mesh_namespace, "Namespace where Weft is installed")
      ->type_name("NAMESPACE")
      ->envname("WEFT_NAMESPACE")
      ->capture_default_str();
  app.add_option("--control-plane", options.control_plane,
                 "A control plane outside of Kubernetes: where it listens (default with --state: "
                 "127.0.0.1:15012)")
      ->type_name("ADDR:PORT")
      ->envname("WEFT_CONTROL_PLANE");
  app.add_option("--state", options.state, "Its state directory, for root.pem and operator-token")
      ->type_name("DIR")
      ->envname("WEFT_STATE");
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

void DeclareCheck(CLI::App& app, Invocation& invocation) {
  CLI::App* check =
      Command(app, "check", "Whether the cluster can have the mesh, and whether the mesh is well",
              invocation, [&] { return RunCheck(invocation.options, invocation.check_before); });
  check->add_flag("--pre", invocation.check_before, "Before Weft is installed");
}

// What is not ours is Helm's: "meshctl install --set trustDomain=example.org".
void DeclareInstall(CLI::App& app, Invocation& invocation) {
  Installation& installation = invocation.installation;
  const auto declare = [&](const std::string& name, const std::string& description,
                           absl::Status (*run)(const Options&, const Installation&)) {
    CLI::App* command = Command(app, name, description, invocation, [&invocation, &app, run] {
      invocation.installation.helm_flags = app.remaining();
      return run(invocation.options, invocation.installation);
    });
    // Since global options may stand behind the command, what nobody knows ends up with them.
    command->preparse_callback([&app](size_t) { app.allow_extras(); });
    command->add_option("--release", installation.release, "Name of the Helm release")
        ->type_name("NAME")
        ->capture_default_str();
    command->add_flag("--force", installation.force, "In spite of what speaks against it");
    return command;
  };
  CLI::App* install = declare(
      "install", "Install or upgrade Weft with Helm; further flags are Helm's (-f FILE, --set K=V)",
      Install);
  install->add_option("--chart", installation.chart, "The chart; found beside meshctl without it")
      ->type_name("DIR");
  install->add_flag("--skip-crds", installation.skip_crds,
                    "Leave CustomResourceDefinitions as they are");
  install->add_flag("--skip-check", installation.skip_check, "Do not look before and after");
  declare("uninstall", "Remove Weft with Helm; your TrafficSplits and the CA stay", Uninstall);
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

void DeclareCa(CLI::App& app, Invocation& invocation) {
  CLI::App* ca = Command(app, "ca", "The mesh's certificate authority", invocation, nullptr);
  Command(*ca, "status", "Who signs, whom the mesh trusts, and how a rotation stands", invocation,
          [&] { return PrintCa(invocation.options); });
  CLI::App* rotate =
      Command(*ca, "rotate",
              "Replace the mesh's root by a new one, and follow until the old one is retired",
              invocation, [&] { return RotateCa(invocation.options, invocation.rotation); });
  rotate->add_flag("--no-wait", invocation.rotation.no_wait, "Only begin it");
  rotate->footer(
      "No request fails meanwhile. It lasts as long as workload certificates live, for the old "
      "root\n"
      "stays trusted until the last one that it has signed has expired. An interrupted command\n"
      "changes nothing: the control plane goes on, \"meshctl ca status\" shows it.");
}

void DeclareInject(CLI::App& app, Invocation& invocation) {
  CLI::App* inject =
      Command(app, "inject",
              "Put sidecars into manifests, as the injector does in a cluster; needs no cluster",
              invocation, [&] { return InjectFile(invocation.options, invocation.inject); });
  inject
      ->add_option("-f,--filename", invocation.inject.file,
                   "Manifests, YAML or JSON; \"-\" is standard input")
      ->type_name("FILE")
      ->required();
  inject
      ->add_option(
          "--settings", invocation.inject.settings_file,
          "Injection settings, as in the ConfigMap weft-injector; default: those of a mesh "
          "installed without any choice")
      ->type_name("FILE");
  inject->footer("Example: meshctl inject -f deployment.yaml -n shop | kubectl apply -f -");
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

// A cluster and a control plane outside of it cannot both be meant. Where the latter stands in the
// environment, the command line says more.
absl::Status ChooseOne(const CLI::App& app, Options& options) {
  const std::string cluster = !options.context.empty()      ? "--context"
                              : !options.kubeconfig.empty() ? "--kubeconfig"
                                                            : "";
  if (cluster.empty()) return absl::OkStatus();
  for (const char* direct : {"--control-plane", "--state"}) {
    const CLI::Option* option = app.get_option(direct);
    const char* environment = std::getenv(option->get_envname().c_str());
    if (option->empty() || (environment != nullptr && option->as<std::string>() == environment)) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat(cluster, " chooses a Kubernetes cluster, ", direct,
                     " a control plane outside of it: give one of them"));
  }
  options.control_plane.clear();
  options.state.clear();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  // gRPC would tell about failed connections in its own words beside ours.
  gpr_set_log_function([](gpr_log_func_args*) {});
  CLI::App app("Shows and explains a Weft service mesh.", "meshctl");
  Invocation invocation;
  DeclareGlobals(app, invocation);
  DeclareLists(app, invocation);
  DeclareRoutes(app, invocation);
  DeclareCheck(app, invocation);
  DeclareInstall(app, invocation);
  DeclareToken(app, invocation);
  DeclareInject(app, invocation);
  DeclareCa(app, invocation);
  DeclareCompletion(app, invocation);
  app.footer(
      "It finds the mesh in the cluster that kubectl (or $KUBECTL) reaches, or at "
      "--control-plane.\n"
      "Exit codes: 0 success, 1 error, 2 wrong usage. WEFT_CONTROL_PLANE, WEFT_STATE and\n"
      "WEFT_NAMESPACE stand for --control-plane, --state and --mesh-namespace; NO_COLOR turns\n"
      "colours off.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (invocation.run == nullptr) {
    std::cerr << "meshctl: a command is missing; \"meshctl --help\" lists them" << std::endl;
    return kExitUsage;
  }
  absl::Status status = ChooseOne(app, invocation.options);
  if (status.ok()) status = invocation.run();
  if (status.ok()) return 0;
  std::cerr << "meshctl: " << status.message() << std::endl;
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitError;
}

}  // namespace
}  // namespace weft::meshctl

int main(int argc, char** argv) { return weft::meshctl::Main(argc, argv); }
