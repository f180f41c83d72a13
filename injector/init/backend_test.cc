#include "injector/init/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr char kOurs[] =
    "*nat\n:WEFT_OUTBOUND - [0:0]\n-A OUTPUT -p tcp -j WEFT_OUTBOUND\nCOMMIT\n";
constexpr char kOthers[] = "*filter\n:KUBE - [0:0]\n-A INPUT -j KUBE\n-A KUBE -j ACCEPT\nCOMMIT\n";

// A machine: what its programs named *-save answer; an absent entry is an absent program.
Programs Machine(std::map<std::string, ProcessResult> saves) {
  std::set<std::string> present;
  for (const auto& [save, unused] : saves) {
    present.insert(save);
    present.insert(save.substr(0, save.size() - 4) + "restore");
  }
  Programs programs;
  programs.exists = [present](std::string_view name) {
    return present.contains(std::string(name));
  };
  programs.run = [saves](const std::vector<std::string>& argv,
                         std::string_view) -> absl::StatusOr<ProcessResult> {
    const auto found = saves.find(argv[0]);
    if (found == saves.end()) return absl::NotFoundError(argv[0]);
    return found->second;
  };
  return programs;
}

ProcessResult Says(const std::string& out) { return {0, out, ""}; }
ProcessResult Fails(const std::string& err) { return {1, "", err}; }

TEST(ChooseTest, TakesTheBackendThatIsInUse) {
  const struct {
    const char* name;
    std::map<std::string, ProcessResult> machine;
    BackendKind expected;
  } cases[] = {
      {"nothing in use: nft",
       {{"iptables-nft-save", Says("")}, {"iptables-legacy-save", Says("")}},
       BackendKind::kNft},
      {"rules in legacy",
       {{"iptables-nft-save", Says("")}, {"iptables-legacy-save", Says(kOthers)}},
       BackendKind::kLegacy},
      {"IPv6 rules in legacy",
       {{"iptables-nft-save", Says("")},
        {"iptables-legacy-save", Says("")},
        {"ip6tables-legacy-save", Says(kOthers)}},
       BackendKind::kLegacy},
      {"ours in nft, more of others in legacy",
       {{"iptables-nft-save", Says(kOurs)}, {"iptables-legacy-save", Says(kOthers)}},
       BackendKind::kNft},
      {"ours in legacy",
       {{"iptables-nft-save", Says(kOthers)}, {"iptables-legacy-save", Says(kOurs)}},
       BackendKind::kLegacy},
      {"a kernel without nf_tables",
       {{"iptables-nft-save", Fails("Failed to initialize nft: Protocol not supported")},
        {"iptables-legacy-save", Says("")}},
       BackendKind::kLegacy},
      {"only legacy installed", {{"iptables-legacy-save", Says("")}}, BackendKind::kLegacy},
      {"only nft installed", {{"iptables-nft-save", Says("")}}, BackendKind::kNft},
      {"only programs without a variant", {{"iptables-save", Says("")}}, BackendKind::kPlain},
  };
  for (const auto& c : cases) {
    const auto backend = Backend::Choose("auto", Machine(c.machine), absl::Seconds(5));
    ASSERT_TRUE(backend.ok()) << c.name << ": " << backend.status();
    EXPECT_EQ(BackendName(backend->kind()), BackendName(c.expected)) << c.name;
  }
}

TEST(ChooseTest, SaysWhatIsMissing) {
  const struct {
    const char* forced;
    const char* message;
  } cases[] = {
      {"auto", "no iptables in PATH"},
      {"nft", "no iptables-nft-restore in PATH"},
      {"legacy", "no iptables-legacy-restore in PATH"},
      {"ebpf", "\"ebpf\" is not one of auto, nft, legacy"},
  };
  for (const auto& c : cases) {
    const auto backend = Backend::Choose(c.forced, Machine({}), absl::Seconds(5));
    ASSERT_FALSE(backend.ok()) << c.forced;
    EXPECT_THAT(std::string(backend.status().message()), HasSubstr(c.message));
  }
}

TEST(ChooseTest, TheForcedBackendWinsOverTheOneInUse) {
  const auto backend = Backend::Choose(
      "legacy", Machine({{"iptables-nft-save", Says(kOurs)}, {"iptables-legacy-save", Says("")}}),
      absl::Seconds(5));
  ASSERT_TRUE(backend.ok());
  EXPECT_EQ(BackendName(backend->kind()), "legacy");
}

TEST(ReadTest, CountsRulesAndFindsOurs) {
  const Backend backend(BackendKind::kNft,
                        Machine({{"iptables-nft-save", Says(absl::StrCat(kOurs, kOthers))}}),
                        absl::Seconds(5));
  const auto state = backend.Read(IpFamily::kV4);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->rules, 5);
  EXPECT_EQ(state->ours.chains.size(), 1u);
  EXPECT_EQ(state->ours.jumps.size(), 1u);
}

TEST(RestoreTest, FeedsTheInputAndReportsWhatTheProgramSaid) {
  std::vector<std::string> ran;
  std::string fed;
  Programs programs;
  ProcessResult answer;
  programs.run = [&](const std::vector<std::string>& argv,
                     std::string_view input) -> absl::StatusOr<ProcessResult> {
    ran = argv;
    fed = std::string(input);
    return answer;
  };
  const Backend backend(BackendKind::kLegacy, programs, absl::Seconds(7));
  EXPECT_TRUE(backend.Restore(IpFamily::kV6, "*nat\nCOMMIT\n").ok());
  EXPECT_EQ(ran, (std::vector<std::string>{"ip6tables-legacy-restore", "--noflush", "--wait=7"}));
  EXPECT_EQ(fed, "*nat\nCOMMIT\n");

  answer = Fails("Couldn't load match `owner':No such file or directory\n\nError at line: 9\n");
  const absl::Status refused = backend.Restore(IpFamily::kV4, "*nat\n");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Couldn't load match `owner'"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Error at line: 9"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("xt_owner"));

  answer = Fails("iptables-restore: Permission denied (you must be root)");
  EXPECT_THAT(std::string(backend.Restore(IpFamily::kV4, "*nat\n").message()),
              HasSubstr("NET_ADMIN"));
}

TEST(RestoreTest, EmptyInputRunsNothing) {
  Programs programs;
  programs.run = [](const std::vector<std::string>&,
                    std::string_view) -> absl::StatusOr<ProcessResult> {
    return absl::InternalError("ran");
  };
  EXPECT_TRUE(
      Backend(BackendKind::kNft, programs, absl::Seconds(1)).Restore(IpFamily::kV4, "").ok());
}

}  // namespace
}  // namespace weft
