#include "control-plane/source/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace weft::source {
namespace {

using ::testing::HasSubstr;

// The first document as JSON, or the error.
std::string Json(std::string_view yaml, const YamlLimits& limits = {}) {
  auto documents = ParseYaml(yaml, limits);
  if (!documents.ok()) return std::string(documents.status().message());
  if (documents->empty()) return "nothing";
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(documents->front(), &json).ok());
  return json;
}

TEST(Yaml, PlainScalarsHaveTheTypesOfTheCoreSchema) {
  struct Case {
    std::string_view yaml, json;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"80", "80"},
           {"-7", "-7"},
           {"+7", "7"},
           {"010", "10"},
           {"0o17", "15"},
           {"0x1F", "31"},
           {"1.5", "1.5"},
           {".5", "0.5"},
           {"1e3", "1000"},
           {"true", "true"},
           {"False", "false"},
           {"null", "null"},
           {"~", "null"},
           {"", "nothing"},
           // Strings, in spite of what YAML 1.1 says or what they look like.
           {"yes", "\"yes\""},
           {"on", "\"on\""},
           {"1_000", "\"1_000\""},
           {"500m", "\"500m\""},
           {"1.2.3", "\"1.2.3\""},
           {"12:30:45", "\"12:30:45\""},
           {"2026-01-01T00:00:00Z", "\"2026-01-01T00:00:00Z\""},
           {"0x", "\"0x\""},
           {"-", "[null]"},
           {"e5", "\"e5\""},
           {".", "\".\""},
           {"inf", "\"inf\""},
           {"nan", "\"nan\""},
           // Quoted and block scalars are strings.
           {"\"80\"", "\"80\""},
           {"'true'", "\"true\""},
           {"\"\"", "\"\""},
           {"|\n  80", "\"80\""},
           {"!!str 80", "\"80\""},
           // What JSON cannot say.
           {".inf",
            "document 1: line 1, column 1: JSON has no number .inf; quote it if it is text"},
           {".NaN",
            "document 1: line 1, column 1: JSON has no number .NaN; quote it if it is text"},
           {"1e999", "document 1: line 1, column 1: 1e999 is too large a number"}}) {
    EXPECT_EQ(Json(c.yaml), c.json) << c.yaml;
  }
}

TEST(Yaml, JsonIsYaml) {
  EXPECT_EQ(Json(R"({"a": [1, "2", true, null, {"b": "c\n\u00e4"}]})"),
            "{\"a\":[1,\"2\",true,null,{\"b\":\"c\\nä\"}]}");
}

TEST(Yaml, KeysAreStringsAndUnique) {
  EXPECT_EQ(Json("{1: a}"), "{\"1\":\"a\"}");
  EXPECT_EQ(Json("a: 1\nb: 2\na: 3"), "document 1: line 3, column 1: the key \"a\" is given twice");
  EXPECT_EQ(Json("{[a]: b}"), "document 1: line 1, column 2: the key of a map must be a string");
}

TEST(Yaml, AnchorsAndMergeKeysAreExpanded) {
  EXPECT_EQ(Json("a: &x {k: 1}\nb: *x").size(),
            std::string("{\"a\":{\"k\":1},\"b\":{\"k\":1}}").size());
  EXPECT_EQ(Json("<<: {k: 1}"), "{\"k\":1}");
  EXPECT_EQ(Json("k: 2\n<<: {k: 1}"), "{\"k\":2}");
  EXPECT_EQ(Json("<<: {k: 1}\nk: 2"), "{\"k\":2}");
  EXPECT_EQ(Json("<<: [{k: 1}, {k: 2}]"), "{\"k\":1}");
  EXPECT_EQ(Json("\"<<\": 1"), "{\"\\u003c\\u003c\":1}");
  EXPECT_THAT(Json("<<: 1"), HasSubstr("must merge a map"));
}

TEST(Yaml, AnAliasBombEndsAtTheLimit) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) absl::StrAppend(&bomb, j == 0 ? "" : ", ", "*a", i - 1);
    absl::StrAppend(&bomb, "]\n");
  }
  EXPECT_THAT(Json(bomb, {.expanded_bytes = 1 << 20}),
              HasSubstr("more than 1048576 bytes after aliases"));
}

TEST(Yaml, AnAliasBombOfTextOrOfDepthEndsAtTheLimit) {
  std::string text = absl::StrCat("a: &a ", std::string(100'000, 'x'), "\nb: [");
  for (int i = 0; i < 20'000; ++i) text += "*a,";
  EXPECT_THAT(Json(text + "]"), HasSubstr("bytes after aliases"));
  std::string depth = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i) absl::StrAppend(&depth, "a", i, ": &a", i, " [*a", i - 1, "]\n");
  EXPECT_THAT(Json(depth), HasSubstr("64 levels"));
  EXPECT_THAT(Json("a: &a [*a]"), HasSubstr("the very list or map"));
  EXPECT_EQ(Json("&a b: *a"), "{\"b\":\"b\"}");
  EXPECT_EQ(Json("- &a b\n- {*a : 1}"), "[\"b\",{\"b\":1}]");
}

TEST(Yaml, ABracketClosedTwiceIsAnError) {
  for (std::string_view yaml : {"{a: b}]", "{a: b}}", "]", "}", "[a]]\n---\nb: c\n", "a: b\n]\n"}) {
    EXPECT_THAT(Json(yaml), HasSubstr("document ")) << yaml;
  }
}

TEST(Yaml, IsBoundedInSizeDocumentsAndDepth) {
  EXPECT_THAT(Json("abcdef", {.bytes = 5}), HasSubstr("larger than 5 bytes"));
  EXPECT_THAT(Json("--- 1\n--- 2\n--- 3\n", {.documents = 2}), HasSubstr("more than 2 documents"));
  EXPECT_THAT(Json(std::string(70, '[') + std::string(70, ']')), HasSubstr("64 levels"));
  // Far deeper still than our limit: the parser must not run out of stack before we look.
  EXPECT_NE(Json(std::string(100'000, '[')), "");
  EXPECT_NE(Json(std::string(100'000, '{')), "");
}

TEST(Yaml, ErrorsNameDocumentAndLine) {
  EXPECT_THAT(Json("a: b\n---\n# two\nc: [\n"), HasSubstr("document 2: line "));
  EXPECT_THAT(Json("---\na: b\n---\n{x: 1, x: 2}\n"), HasSubstr("document 2: line 4, column 8: "));
  EXPECT_THAT(Json("a: *nobody"), HasSubstr("document 1: line 1"));
  EXPECT_THAT(Json("\ta: b"), HasSubstr("document 1: line 1"));
}

TEST(Yaml, StreamsHaveManyDocumentsAndSomeAreEmpty) {
  auto documents = ParseYaml("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n...\n");
  ASSERT_TRUE(documents.ok());
  size_t filled = 0;
  for (const auto& document : *documents) filled += document.has_struct_value() ? 1 : 0;
  EXPECT_EQ(filled, 2u);
}

TEST(Yaml, BytesThatAreNoTextDoNoHarm) {
  ParseYaml(std::string("\0\xff\xfe\x80", 4)).status().IgnoreError();
  ParseYaml(
      "\xef\xbb\xbf"
      "a: b")
      .status()
      .IgnoreError();
  EXPECT_EQ(Json("\xef\xbb\xbf"
                 "a: b"),
            "{\"a\":\"b\"}");
}

}  // namespace
}  // namespace weft::source
