#include "sidecar/http/headers.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace weft::http {
namespace {

std::vector<std::pair<std::string, std::string>> Contents(const Headers& headers) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const Headers::Field field : headers) fields.emplace_back(field.name, field.value);
  return fields;
}

using Fields = std::vector<std::pair<std::string, std::string>>;

TEST(NamesEqualTest, IgnoresTheCaseOfAsciiLettersOnly) {
  EXPECT_TRUE(NamesEqual("Content-Type", "content-TYPE"));
  EXPECT_TRUE(NamesEqual("", ""));
  EXPECT_FALSE(NamesEqual("a", "ab"));
  EXPECT_FALSE(NamesEqual("a@", "a`"));
  EXPECT_FALSE(NamesEqual("[", "{"));
  EXPECT_FALSE(NamesEqual("\xc4", "\xe4"));
}

TEST(HeadersTest, KeepsOrderCaseAndRepetition) {
  Headers headers;
  EXPECT_TRUE(headers.empty());
  headers.Add("Host", "tea.1");
  headers.Add("x-a", "1");
  headers.Add("X-A", "");
  EXPECT_EQ(headers.size(), 3u);
  EXPECT_EQ(Contents(headers), (Fields{{"Host", "tea.1"}, {"x-a", "1"}, {"X-A", ""}}));
}

TEST(HeadersTest, GetFindsTheFirstInAnyCase) {
  Headers headers;
  headers.Add("X-A", "1");
  headers.Add("x-a", "2");
  EXPECT_EQ(headers.Get("x-A"), "1");
  EXPECT_TRUE(headers.Has("x-a"));
  EXPECT_FALSE(headers.Get("x-b").has_value());
}

TEST(HeadersTest, SetReplacesAllAndGoesLast) {
  Headers headers;
  headers.Add("x-a", "1");
  headers.Add("x-b", "2");
  headers.Add("X-A", "3");
  headers.Set("x-a", "4");
  EXPECT_EQ(Contents(headers), (Fields{{"x-b", "2"}, {"x-a", "4"}}));
}

TEST(HeadersTest, RemoveCountsWhatItRemoved) {
  Headers headers;
  headers.Add("x-a", "1");
  headers.Add("x-b", "2");
  headers.Add("X-A", "3");
  EXPECT_EQ(headers.Remove("x-a"), 2u);
  EXPECT_EQ(headers.Remove("x-a"), 0u);
  EXPECT_EQ(Contents(headers), (Fields{{"x-b", "2"}}));
}

TEST(HeadersTest, GetJoinedJoinsRepeatedFieldsOnly) {
  Headers headers;
  headers.Add("x", "1");
  headers.Add("Cookie", "a=1");
  headers.Add("X", "2");
  headers.Add("cookie", "b=2");
  headers.Add("y", "3");
  std::string scratch;
  EXPECT_EQ(headers.GetJoined("x", &scratch), "1, 2");
  EXPECT_EQ(headers.GetJoined("cookie", &scratch), "a=1; b=2");
  scratch = "untouched";
  EXPECT_EQ(headers.GetJoined("y", &scratch), "3");
  EXPECT_EQ(scratch, "untouched");
  EXPECT_FALSE(headers.GetJoined("z", &scratch).has_value());
}

TEST(HeadersTest, ClearForgetsTheFieldsAndCountsBytesAnew) {
  Headers headers;
  headers.Add("x", "12");
  EXPECT_EQ(headers.bytes(), 3u);
  headers.Clear();
  EXPECT_TRUE(headers.empty());
  EXPECT_EQ(headers.bytes(), 0u);
  headers.Add("y", "3");
  EXPECT_EQ(headers.Get("y"), "3");
}

}  // namespace
}  // namespace weft::http
