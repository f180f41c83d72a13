// weft-fleet: many simulated sidecars, for measuring a control plane. Takes orders on standard
// input and reports on standard output, see fleet.h.
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "control-plane/discovery/fleet/certificate.h"
#include "control-plane/discovery/fleet/fleet.h"

namespace weft::discovery::fleet {
namespace {

struct Options {
  std::string control_plane = "127.0.0.1:15012";
  std::string root;
  std::string token_file;
  std::string plan;
};

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return content.str();
}

absl::Status Run(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  Enrolment enrolment;
  absl::StatusOr<sockaddr_storage> address = ParseAddress(options.control_plane);
  if (!address.ok()) return address.status();
  enrolment.control_plane = *address;
  absl::StatusOr<std::string> root = ReadFile(options.root);
  if (!root.ok()) return root.status();
  enrolment.root_pem = *root;
  absl::StatusOr<std::string> token = ReadFile(options.token_file);
  if (!token.ok()) return token.status();
  enrolment.join_token = token->substr(0, token->find_last_not_of('\n') + 1);
  absl::StatusOr<std::string> plan = ReadFile(options.plan);
  if (!plan.ok()) return plan.status();
  enrolment.workload = plan->substr(0, plan->find_first_of(" \n"));

  absl::StatusOr<bssl::UniquePtr<SSL_CTX>> tls = Enrol(enrolment);
  if (!tls.ok()) return tls.status();
  Shared shared;
  shared.control_plane = *address;
  shared.tls = tls->get();
  absl::StatusOr<std::unique_ptr<Fleet>> fleet = Fleet::Create(
      *plan, std::move(shared), [](const std::string& line) { std::cout << line << std::endl; });
  if (!fleet.ok()) return fleet.status();

  std::string pending;
  while (true) {
    if (!(*fleet)->Turn(STDIN_FILENO)) continue;
    char buffer[4096];
    const ssize_t bytes = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (bytes <= 0) return absl::OkStatus();
    pending.append(buffer, static_cast<size_t>(bytes));
    for (size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
      const absl::Status done = (*fleet)->Order(pending.substr(0, end));
      if (!done.ok()) return done;
      pending.erase(0, end + 1);
    }
  }
}

}  // namespace
}  // namespace weft::discovery::fleet

int main(int argc, char** argv) {
  CLI::App app("Many simulated sidecars, for measuring a control plane.", "weft-fleet");
  weft::discovery::fleet::Options options;
  app.add_option("--control-plane", options.control_plane, "ADDR:PORT")->capture_default_str();
  app.add_option("--root", options.root, "The mesh's root in PEM: a file")->required();
  app.add_option("--join-token", options.token_file, "A join token of all pods: a file")
      ->required();
  app.add_option("--plan", options.plan, "Who there is and what each wants: a file")->required();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = weft::discovery::fleet::Run(options);
  if (!status.ok()) std::cerr << "weft-fleet: " << status.message() << std::endl;
  return status.ok() ? 0 : 1;
}
