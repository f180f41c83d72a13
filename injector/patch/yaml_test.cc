#include "injector/patch/yaml.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::inject {
namespace {

using ::testing::HasSubstr;

TEST(ScalarTest, MeansWhatKubectlTakesItFor) {
  const struct {
    const char* text;
    const char* json;
  } cases[] = {
      {"yes", "true"},
      {"Off", "false"},
      {"~", "null"},
      {"", "null"},
      {"0644", "420"},
      {"0x1F", "31"},
      {"0o17", "15"},
      {"1_000", "1000"},
      {"-7", "-7"},
      {"+7", "7"},
      {"1.5", "1.5"},
      {"1e3", "1000.0"},
      {"1.2.3", "\"1.2.3\""},
      {"10.0.0.1", "\"10.0.0.1\""},
      {"-", "\"-\""},
      {"089", "89.0"},
      {"0b11", "3"},
      {"web", "\"web\""},
      {"100m", "\"100m\""},
      {"2026-01-31", "\"2026-01-31\""},
      {"18446744073709551615", "18446744073709551615"},
  };
  for (const auto& test : cases) EXPECT_EQ(Dump(ResolveScalar(test.text)), test.json) << test.text;
}

TEST(YamlTest, KeepsTheOrderOfKeys) {
  const auto documents = ParseYaml("z: 1\na: {y: 2, b: [3, \"4\"]}\n");
  ASSERT_TRUE(documents.ok());
  EXPECT_EQ(Dump(documents->at(0)), R"({"z":1,"a":{"y":2,"b":[3,"4"]}})");
}

TEST(YamlTest, ReadsSeveralDocumentsAnchorsAndMergeKeys) {
  const auto documents =
      ParseYaml("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n---\n---\n- *nothing\n");
  ASSERT_FALSE(documents.ok());
  const auto good = ParseYaml("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n---\nnull\n");
  ASSERT_TRUE(good.ok()) << good.status();
  ASSERT_EQ(good->size(), 2);
  EXPECT_EQ(Dump(good->at(0)), R"({"base":{"x":1,"y":2},"use":{"y":3,"x":1}})");
}

TEST(YamlTest, NamesThePlaceOfAMistake) {
  const auto twice = ParseYaml("a: 1\nb: 2\na: 3\n");
  EXPECT_THAT(twice.status().message(), HasSubstr("line 3"));
  EXPECT_THAT(twice.status().message(), HasSubstr("\"a\" is given twice"));
  EXPECT_FALSE(ParseYaml("a: [1\n").ok());
  EXPECT_FALSE(ParseYaml("]]").ok());
}

TEST(YamlTest, AliasesDoNotExhaustMemory) {
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_EQ(ParseYaml(bomb).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(ParseYaml(std::string(100'000, '[')).ok());
}

TEST(EmitterTest, WritesWhatReadsAsTheSame) {
  const char* const documents[] = {
      R"({"a":"yes","b":"0644","c":"1.0","d":"","e":" x","f":"a: b","g":"x #y","h":"12:30:45"})",
      R"({"list":[1,[2,3],{"x":[]},{},"two\nlines\n","no end\nof line","trailing \n space"]})",
      R"({"script":"#!/bin/sh\nif true; then\n  echo hi\nfi\n","tab":"a\tb\nc","blank":"\n\n"})",
      R"({"null":null,"true":"true","on":"on","3":"x","a/b~c":"~","":"empty","é":"ünï","=":"="})",
      R"({"nested":{"deep":{"deeper":{"list":[{"name":"x","args":["--a=b","-c"]}]}}}})",
      R"({"n":[0,-1,1.5,1e100,18446744073709551615,false,"2026-01-31T12:00:00Z","0x","_1"]})",
      R"(["top",{"a":1}])",
      R"("text")",
      R"({})",
      R"({"a":"x\n\n","b":"x\n\ny\n","c":"<<","d":"- x","e":"%a","f":"a\\b","g":"\u0001\u007f"})",
  };
  for (const char* document : documents) {
    const Json json = Json::parse(document);
    const std::string text = EmitYaml(json);
    const auto read = ParseYaml(text);
    ASSERT_TRUE(read.ok()) << read.status() << "\n" << text;
    ASSERT_EQ(read->size(), 1) << text;
    EXPECT_EQ(Dump(read->at(0)), Dump(json)) << text;
  }
}

TEST(EmitterTest, LongKeysAreKeysStill) {
  Json json;
  json["list"] = Json::array({Json{{std::string(2000, 'k'), Json::array({1})}}});
  json[std::string(5000, '"')] = Json{{"a", "b"}};
  const auto read = ParseYaml(EmitYaml(json));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(Dump(read->at(0)), Dump(json));
}

TEST(EmitterTest, LooksLikeKubectl) {
  const Json json = Json::parse(
      R"({"spec":{"containers":[{"name":"web","args":["-c","echo\nhi\n"],"ports":[]}],"x":{}}})");
  EXPECT_EQ(EmitYaml(json), R"(spec:
  containers:
  - name: web
    args:
    - "-c"
    - |
      echo
      hi
    ports: []
  x: {}
)");
}

}  // namespace
}  // namespace weft::inject
