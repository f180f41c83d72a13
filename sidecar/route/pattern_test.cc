#include "sidecar/route/pattern.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "re2/re2.h"
#include "sidecar/route/random.h"

namespace weft::route {
namespace {

constexpr int64_t kMemory = 1 << 20;
using Kind = Pattern::Kind;

RE2::Options Latin1() {
  RE2::Options options(RE2::Quiet);
  options.set_encoding(RE2::Options::EncodingLatin1);
  return options;
}

bool Re2Says(const RE2& re2, Anchor anchor, const std::string& value) {
  return re2.Match(value, 0, value.size(),
                   anchor == Anchor::kStart ? RE2::ANCHOR_START : RE2::UNANCHORED, nullptr, 0);
}

TEST(PatternTest, SimplePatternsNeedNoRegex) {
  struct Case {
    std::string regex;
    Kind anywhere;
    Kind from_start;
  };
  const std::vector<Case> cases = {
      {"", Kind::kAny, Kind::kAny},
      {".*", Kind::kAny, Kind::kAny},
      {"^", Kind::kAny, Kind::kAny},
      {"$", Kind::kAny, Kind::kEquals},
      {"^$", Kind::kEquals, Kind::kEquals},
      {"^.*", Kind::kAny, Kind::kAny},
      {"version=beta", Kind::kContains, Kind::kPrefix},
      {".*Firefox.*", Kind::kContains, Kind::kRegex},
      {".*Firefox$", Kind::kSuffix, Kind::kRegex},
      {"^beta", Kind::kPrefix, Kind::kPrefix},
      {"beta$", Kind::kSuffix, Kind::kEquals},
      {"^beta$", Kind::kEquals, Kind::kEquals},
      {"/api/.*", Kind::kContains, Kind::kPrefix},
      {"v1\\.2", Kind::kContains, Kind::kPrefix},
      {"price\\$$", Kind::kSuffix, Kind::kEquals},
      {"price\\$", Kind::kContains, Kind::kPrefix},
      {"price\\\\$", Kind::kSuffix, Kind::kEquals},
      {"dots\\.*", Kind::kRegex, Kind::kRegex},
      {".*?beta", Kind::kRegex, Kind::kRegex},
      {"v1.2", Kind::kRegex, Kind::kRegex},
      {"(?i)beta", Kind::kRegex, Kind::kRegex},
      {"a|b", Kind::kRegex, Kind::kRegex},
      {"^be.*ta$", Kind::kRegex, Kind::kRegex},
      {"^beta.*$", Kind::kRegex, Kind::kRegex},
      {"\\d", Kind::kRegex, Kind::kRegex},
      {"a\\Q.*", Kind::kRegex, Kind::kRegex},
      {"beta{2}", Kind::kRegex, Kind::kRegex},
  };
  for (const Case& c : cases) {
    const absl::StatusOr<Pattern> anywhere = Pattern::Compile(c.regex, Anchor::kNone, kMemory);
    const absl::StatusOr<Pattern> start = Pattern::Compile(c.regex, Anchor::kStart, kMemory);
    ASSERT_TRUE(anywhere.ok() && start.ok()) << c.regex;
    EXPECT_EQ(anywhere->kind(), c.anywhere) << c.regex;
    EXPECT_EQ(start->kind(), c.from_start) << c.regex;
  }
}

TEST(PatternTest, EveryEscapeThatIsTakenForALiteralIsOneForRe2) {
  for (int c = 1; c < 256; ++c) {
    const std::string regex = {'a', '\\', static_cast<char>(c)};
    if (Pattern::NeedsRegex(regex, Anchor::kNone)) continue;
    const std::string value = {'a', static_cast<char>(c)};
    EXPECT_TRUE(Re2Says(RE2("^" + regex + "$", Latin1()), Anchor::kNone, value)) << regex;
  }
}

// Patterns and values from a small alphabet that holds every operator the simplification looks at;
// line feeds too, since "." does not match them.
TEST(PatternTest, DecidesAsRe2DoesForRandomPatternsAndValues) {
  const std::vector<std::string> atoms = {"a", "b", ".*",  "^", "$",   "\\.", ".",       "\\\\",
                                          "*", "?", "\\$", "|", "(a)", "\n",  "\xc3\xa9"};
  const std::vector<std::string> letters = {"a",  "b", ".",        "\n",  "$",
                                            "\\", "*", "\xc3\xa9", "\xc3"};
  Random random(20240601);
  const auto compose = [&](const std::vector<std::string>& from, uint64_t most) {
    std::string s;
    for (uint64_t n = random.Below(most + 1); n > 0; --n) s += from[random.Below(from.size())];
    return s;
  };
  int simple = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string regex = compose(atoms, 5);
    const RE2 re2(regex, Latin1());
    for (const Anchor anchor : {Anchor::kNone, Anchor::kStart}) {
      const absl::StatusOr<Pattern> pattern = Pattern::Compile(regex, anchor, kMemory);
      ASSERT_EQ(pattern.ok(), re2.ok()) << regex;
      if (!pattern.ok() || pattern->kind() == Kind::kRegex) continue;
      ++simple;
      for (int j = 0; j < 10; ++j) {
        const std::string value = compose(letters, 5);
        EXPECT_EQ(pattern->Matches(value), Re2Says(re2, anchor, value))
            << "pattern " << regex << " value " << value;
      }
    }
  }
  EXPECT_GT(simple, 1000);
}

TEST(PatternTest, MatchesBytesThatAreNoUtf8) {
  const absl::StatusOr<Pattern> pattern = Pattern::Compile("^a.c$", Anchor::kNone, kMemory);
  ASSERT_TRUE(pattern.ok());
  EXPECT_TRUE(
      pattern->Matches("a\xff"
                       "c"));
}

TEST(PatternTest, PatternsBeyondAsciiSeeCharacters) {
  struct Case {
    std::string regex;
    std::string value;
    bool matches;
  };
  const std::vector<Case> cases = {
      {"^caf\xc3\xa9$", "caf\xc3\xa9", true},
      {"^caf[\xc3\xa9\xc3\xa8]$", "caf\xc3\xa8", true},
      {"^caf[\xc3\xa9\xc3\xa8]$", "caf\xc3", false},
      {"^\\x{263a}$", "\xe2\x98\xba", true},
      {"^[\xce\xb1-\xcf\x89]+$", "\xce\xbb\xcf\x8c\xce\xb3", false},
      {"^[\xce\xb1-\xcf\x8e]+$", "\xce\xbb\xcf\x8c\xce\xb3\xce\xbf\xcf\x82", true},
  };
  for (const Case& c : cases) {
    const absl::StatusOr<Pattern> pattern = Pattern::Compile(c.regex, Anchor::kNone, kMemory);
    ASSERT_TRUE(pattern.ok()) << c.regex << " " << pattern.status();
    EXPECT_EQ(pattern->Matches(c.value), c.matches) << c.regex << " " << c.value;
  }
}

TEST(PatternTest, ALargePatternMayExceedItsShareOfMemory) {
  const std::string regex = "(" + std::string(40, 'a') + "|b){200}[0-9]";
  RE2::Options little = Latin1();
  little.set_max_mem(32 << 10);
  ASSERT_FALSE(RE2(regex, little).ok());
  EXPECT_TRUE(Pattern::Compile(regex, Anchor::kNone, 32 << 10).ok());
}

TEST(PatternTest, RefusesWhatIsNoRe2OrTooLarge) {
  const std::vector<std::string> bad = {
      "(", "[a", "a**", "*a", "a(?=b)", "(a)\\1", "\\", "a{1001}", "((((a{100}){100}){100}){100})"};
  for (const std::string& regex : bad) {
    const absl::StatusOr<Pattern> pattern = Pattern::Compile(regex, Anchor::kNone, kMemory);
    EXPECT_EQ(pattern.status().code(), absl::StatusCode::kInvalidArgument) << regex;
  }
}

TEST(PatternTest, TakesTimeInProportionToTheValueWhateverThePattern) {
  // A backtracking engine would need 2^30 steps.
  const absl::StatusOr<Pattern> pattern = Pattern::Compile("(a+)+$", Anchor::kStart, kMemory);
  ASSERT_TRUE(pattern.ok());
  EXPECT_FALSE(pattern->Matches(std::string(30, 'a') + "b"));
}

}  // namespace
}  // namespace weft::route
