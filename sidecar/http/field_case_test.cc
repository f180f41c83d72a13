#include "sidecar/http/field_case.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace weft::http {
namespace {

using Names = std::vector<std::string>;

Headers WithNames(const Names& names) {
  Headers headers;
  for (const std::string& name : names) headers.Add(name, "v");
  return headers;
}

Names NamesOf(const Headers& headers) {
  Names names;
  for (const Headers::Field field : headers) names.emplace_back(field.name);
  return names;
}

// As HTTP/2 does it.
Headers InSmallLetters(const Headers& headers) {
  Headers small;
  for (const Headers::Field field : headers) {
    std::string name(field.name);
    for (char& c : name) c = static_cast<char>(tolower(c));
    small.Add(name, field.value);
  }
  return small;
}

struct Case {
  Names names;
  std::string description;
};

TEST(FieldCaseTest, TellsNoMoreThanWhatIsUnusual) {
  const std::vector<Case> cases = {
      {{}, ""},
      {{"accept", "x-1"}, ""},
      {{"User-Agent", "Accept", "X-A-1"}, "T"},
      {{"ETag", "Accept"}, "T,ETag"},
      {{"User-Agent", "Accept", "x-request-id"}, "T,x-request-id"},
      {{"SOAPAction", "accept", "host"}, "s,SOAPAction"},
      {{"1-a", "X--B", "Content-type", "C-"}, "T,1-a,Content-type"},
  };
  for (const Case& c : cases) {
    const Headers headers = WithNames(c.names);
    std::string scratch;
    const std::string description(DescribeFieldCase(headers, &scratch));
    EXPECT_EQ(description, c.description);
    Headers arrived = InSmallLetters(headers);
    RestoreFieldCase(description, &arrived);
    EXPECT_EQ(NamesOf(arrived), c.names) << description;
    for (const Headers::Field field : arrived) EXPECT_EQ(field.value, "v");
  }
}

TEST(FieldCaseTest, TextFromAnybodyChangesNothingButCase) {
  for (const std::string_view text : {"", "x", "T,", "T,,", "s", "Title", ",Accept",
                                      "s,host,Cookie", "s,acceptance", "T,\xff\n"}) {
    Headers headers = WithNames({"accept", "x-a"});
    RestoreFieldCase(text, &headers);
    EXPECT_EQ(NamesOf(InSmallLetters(headers)), (Names{"accept", "x-a"})) << text;
  }
}

TEST(FieldCaseTest, FieldsOfOneNameGetOneSpelling) {
  Headers arrived = WithNames({"etag", "accept", "etag"});
  std::string scratch;
  RestoreFieldCase(DescribeFieldCase(WithNames({"Etag", "Accept", "ETag"}), &scratch), &arrived);
  EXPECT_EQ(NamesOf(arrived), (Names{"ETag", "Accept", "ETag"}));
}

TEST(FieldCaseTest, WhatDoesNotFitIsLeftOut) {
  const Headers headers = WithNames({std::string(600, 'A'), "ETag", "Accept"});
  std::string scratch;
  EXPECT_EQ(DescribeFieldCase(headers, &scratch), "T,ETag");
}

}  // namespace
}  // namespace weft::http
