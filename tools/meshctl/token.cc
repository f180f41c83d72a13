#include "tools/meshctl/token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "control-plane/ca/join_token_store.h"
#include "google/protobuf/util/time_util.h"
#include "tools/meshctl/answers.pb.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {
namespace {

absl::Status WriteSecretFile(const std::string& path, const std::string& content) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("--out: cannot open ", path));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  // The mode first: an older file must not expose the new token even for a moment.
  if (fchmod(fd, 0600) != 0 || ftruncate(fd, 0) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("--out: cannot prepare ", path));
  }
  if (write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return absl::ErrnoToStatus(errno, absl::StrCat("--out: cannot write ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<ca::JoinGrant> ToGrant(const Options& options, const TokenRequest& request) {
  ca::JoinGrant grant{.name_space = options.name_space, .service_account = request.service_account};
  if (grant.name_space.empty()) {
    return absl::InvalidArgumentError("-n NAMESPACE is needed: the identity's namespace");
  }
  if (!absl::ParseDuration(request.ttl, &grant.lifetime)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--ttl \"", request.ttl, "\" is not a duration such as 24h or 30m"));
  }
  if (!request.pod.empty()) {
    grant.workload = request.pod.find('/') == std::string::npos
                         ? absl::StrCat(grant.name_space, "/", request.pod)
                         : request.pod;
  }
  return grant;
}

// A mistyped path must not become a new, empty state directory.
absl::StatusOr<ca::StateDirectory> OpenExisting(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "--state DIR (or WEFT_STATE) is needed: the control plane's state directory");
  }
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(
        "state directory ", path, " does not exist: start the control plane with --state ", path,
        " first, or correct --state"));
  }
  return ca::StateDirectory::Open(path);
}

}  // namespace

absl::Status CreateToken(const Options& options, const TokenRequest& request) {
  absl::StatusOr<ca::JoinGrant> grant = ToGrant(options, request);
  if (!grant.ok()) return grant.status();
  absl::StatusOr<ca::StateDirectory> state = OpenExisting(options.state);
  if (!state.ok()) return state.status();
  const absl::Time now = absl::Now();
  absl::StatusOr<std::string> token = ca::CreateJoinToken(*state, *grant, now);
  if (!token.ok()) return token.status();
  if (!request.out.empty()) {
    if (absl::Status written = WriteSecretFile(request.out, absl::StrCat(*token, "\n"));
        !written.ok()) {
      return written;
    }
  }
  if (options.format != Format::kTable) {
    CreatedToken created;
    if (request.out.empty()) created.set_token(*token);
    created.set_namespace_(grant->name_space);
    created.set_service_account(grant->service_account);
    created.set_workload(grant->workload);
    *created.mutable_expires() = google::protobuf::util::TimeUtil::SecondsToTimestamp(
        absl::ToUnixSeconds(now + grant->lifetime));
    return PrintMessage(created, options.format);
  }
  // The token alone goes to standard output, so that it can be captured.
  if (request.out.empty()) std::cout << *token << "\n";
  std::cerr << "Join token for " << grant->name_space << "/" << grant->service_account << " ("
            << (grant->workload.empty() ? "any of its pods" : absl::StrCat("pod ", grant->workload))
            << "), valid for " << absl::FormatDuration(grant->lifetime)
            << (request.out.empty() ? "; it is shown only once"
                                    : absl::StrCat("; written to ", request.out))
            << "\n";
  return absl::OkStatus();
}

}  // namespace weft::meshctl
