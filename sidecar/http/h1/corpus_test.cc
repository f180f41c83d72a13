// Bytes that two parsers might read differently, and what becomes of them.
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "sidecar/http/h1/parser.h"
#include "sidecar/http/h1/testing.h"

namespace weft::http::h1 {
namespace {

struct Row {
  std::string verdict;
  std::string name;
  std::string body;
  std::string bytes;
};

std::string Unescape(absl::string_view text) {
  std::string bytes;
  EXPECT_TRUE(absl::CUnescape(text, &bytes)) << text;
  return bytes;
}

bool HasBody(std::string_view line) {
  return line.starts_with("200 ") || line.starts_with("reused ") || line.starts_with("closed ");
}

// `VERDICT NAME | BYTES` or `VERDICT NAME | BODY | BYTES`.
std::vector<Row> ReadCorpus(const std::string& file) {
  std::ifstream in("sidecar/http/h1/testdata/" + file);
  EXPECT_TRUE(in.good()) << file;
  std::vector<Row> rows;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.starts_with("#")) continue;
    const std::vector<std::string> columns =
        absl::StrSplit(line, absl::MaxSplits(" | ", HasBody(line) ? 2 : 1));
    const std::vector<std::string> words = absl::StrSplit(columns[0], ' ');
    rows.push_back({.verdict = words[0],
                    .name = words[1],
                    .body = columns.size() == 3 ? Unescape(columns[1]) : "",
                    .bytes = Unescape(columns.back())});
  }
  EXPECT_GT(rows.size(), 20u);
  return rows;
}

TEST(CorpusTest, RequestsAreReadInOneWayOrRefused) {
  for (const Row& row : ReadCorpus("requests.txt")) {
    for (const size_t step : {1ul, 3ul, 1'000'000ul}) {
      SCOPED_TRACE(row.name);
      Parser parser(Parser::Kind::kRequest, {});
      const Fed fed = Feed(parser, row.bytes, step);
      // CONNECT is well-formed, and refused by whoever is no forward proxy.
      const bool passes = row.verdict == "200" || row.verdict == "405";
      EXPECT_EQ(parser.error().status, passes ? 0 : std::stoi(row.verdict)) << parser.error().field;
      EXPECT_EQ(parser.message_complete(), passes);
      if (!passes) continue;
      EXPECT_EQ(fed.body, row.body);
      EXPECT_EQ(fed.used, row.bytes.size());
    }
  }
}

TEST(CorpusTest, ResponsesAreReadInOneWayOrRefused) {
  for (const Row& row : ReadCorpus("responses.txt")) {
    for (const size_t step : {1ul, 3ul, 1'000'000ul}) {
      SCOPED_TRACE(row.name);
      Parser parser(Parser::Kind::kResponse, {});
      parser.Start(row.name.starts_with("head-with-") || row.name.starts_with("head-in-"));
      const Fed fed = Feed(parser, row.bytes, step);
      const bool ended_before = parser.message_complete();
      if (row.verdict == "malformed") {
        EXPECT_TRUE(parser.failed());
        EXPECT_FALSE(ended_before);
        continue;
      }
      parser.ParseEnd();
      EXPECT_FALSE(parser.failed()) << parser.error().field;
      EXPECT_EQ(fed.body, row.body);
      const bool reusable = ended_before && parser.keep_alive() && fed.used == row.bytes.size();
      EXPECT_EQ(reusable, row.verdict == "reused");
    }
  }
}

}  // namespace
}  // namespace weft::http::h1
