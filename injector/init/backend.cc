#include "injector/init/backend.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace weft {
namespace {

// What a failed program said, on one line.
std::string Said(const ProcessResult& result) {
  std::vector<absl::string_view> lines =
      absl::StrSplit(absl::StripAsciiWhitespace(result.err), '\n', absl::SkipWhitespace());
  if (lines.empty()) return absl::StrCat("exit code ", result.exit_code, " without a word");
  if (lines.size() > 5) lines.resize(5);
  return absl::StrJoin(lines, "; ");
}

// The kernel answers a missing module in words that help nobody.
std::string Hint(const std::string& said) {
  if (absl::StrContains(said, "Permission denied") || absl::StrContains(said, "you must be root")) {
    return " (the container needs the capabilities NET_ADMIN and NET_RAW)";
  }
  if (absl::StrContains(said, "lock")) {
    return " (another program holds the xtables lock, or its file cannot be opened)";
  }
  if (absl::StrContains(said, "owner") || absl::StrContains(said, "REDIRECT") ||
      absl::StrContains(said, "No such file") || absl::StrContains(said, "not supported") ||
      absl::StrContains(said, "does not exist") || absl::StrContains(said, "failed")) {
    return " (does the node's kernel have the modules xt_owner, xt_REDIRECT, xt_tcpudp and "
           "nf_nat?)";
  }
  return "";
}

// How much speaks for a backend: our own rules first, then anybody's.
std::pair<bool, int> Weight(const Backend& backend) {
  std::pair<bool, int> weight;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    if (!backend.Exists(family)) continue;
    const absl::StatusOr<TableState> state = backend.Read(family);
    if (!state.ok()) continue;
    weight.first = weight.first || !state->ours.empty();
    weight.second += state->rules;
  }
  return weight;
}

}  // namespace

std::string_view BackendName(BackendKind kind) {
  switch (kind) {
    case BackendKind::kNft:
      return "nft";
    case BackendKind::kLegacy:
      return "legacy";
    case BackendKind::kPlain:
      return "plain";
  }
  return "unknown";
}

std::string Backend::Program(IpFamily family, std::string_view verb) const {
  const absl::string_view base = family == IpFamily::kV4 ? "iptables" : "ip6tables";
  if (kind_ == BackendKind::kPlain) return absl::StrCat(base, "-", ToAbsl(verb));
  return absl::StrCat(base, "-", ToAbsl(BackendName(kind_)), "-", ToAbsl(verb));
}

bool Backend::Exists(IpFamily family) const {
  return programs_.exists(Program(family, "save")) && programs_.exists(Program(family, "restore"));
}

absl::StatusOr<TableState> Backend::Read(IpFamily family) const {
  const std::string program = Program(family, "save");
  absl::StatusOr<ProcessResult> result = programs_.run({program}, "");
  if (!result.ok()) return result.status();
  if (result->exit_code != 0) {
    const std::string said = Said(*result);
    return absl::FailedPreconditionError(absl::StrCat(program, ": ", said, Hint(said)));
  }
  TableState state{FindInstalled(result->out), 0};
  for (absl::string_view line : absl::StrSplit(result->out, '\n')) {
    const bool user_made_chain = absl::StartsWith(line, ":") && absl::StrContains(line, " - ");
    if (user_made_chain || absl::StartsWith(line, "-A ")) ++state.rules;
  }
  return state;
}

std::vector<std::string> Backend::RestoreArguments(IpFamily family) const {
  std::vector<std::string> argv = {Program(family, "restore"), "--noflush"};
  // nft commits without a lock, and older versions of it refuse the option.
  if (kind_ != BackendKind::kNft) {
    argv.push_back(absl::StrCat("--wait=", absl::ToInt64Seconds(lock_wait_)));
  }
  return argv;
}

std::string Backend::RestoreCommand(IpFamily family) const {
  return absl::StrJoin(RestoreArguments(family), " ");
}

absl::Status Backend::Restore(IpFamily family, std::string_view input) const {
  if (input.empty()) return absl::OkStatus();
  const std::vector<std::string> argv = RestoreArguments(family);
  absl::StatusOr<ProcessResult> result = programs_.run(argv, input);
  if (!result.ok()) return result.status();
  if (result->exit_code == 0) return absl::OkStatus();
  const std::string said = Said(*result);
  return absl::FailedPreconditionError(
      absl::StrCat(argv[0], " refused the rules, none was applied: ", said, Hint(said)));
}

absl::StatusOr<Backend> Backend::Choose(std::string_view forced, Programs programs,
                                        absl::Duration lock_wait) {
  const Backend nft(BackendKind::kNft, programs, lock_wait);
  const Backend legacy(BackendKind::kLegacy, programs, lock_wait);
  const Backend plain(BackendKind::kPlain, programs, lock_wait);
  if (forced == "nft" || forced == "legacy") {
    const Backend& wanted = forced == "nft" ? nft : legacy;
    if (wanted.Exists(IpFamily::kV4)) return wanted;
    return absl::NotFoundError(absl::StrCat("--backend ", ToAbsl(forced), ": no iptables-",
                                            ToAbsl(forced), "-restore in PATH"));
  }
  if (forced != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("--backend: \"", ToAbsl(forced), "\" is not one of auto, nft, legacy"));
  }

  const bool has_nft = nft.Exists(IpFamily::kV4);
  const bool has_legacy = legacy.Exists(IpFamily::kV4);
  if (!has_nft && !has_legacy) {
    if (plain.Exists(IpFamily::kV4)) return plain;
    return absl::NotFoundError(
        "no iptables in PATH: neither iptables-nft-restore nor iptables-legacy-restore nor "
        "iptables-restore");
  }
  if (!has_legacy) return nft;
  if (!has_nft) return legacy;
  // A kernel without nf_tables fails to answer nft.
  if (!nft.Read(IpFamily::kV4).ok()) return legacy;
  return Weight(legacy) > Weight(nft) ? legacy : nft;
}

}  // namespace weft
