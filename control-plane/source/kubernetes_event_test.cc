#include "control-plane/source/kubernetes_event.h"

#include "control-plane/source/json_text.h"
#include "control-plane/source/prune.h"
#include "control-plane/source/recording_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::source {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

TEST(JsonText, MembersAreFoundWhateverTheirValuesContain) {
  std::vector<std::pair<std::string, std::string>> members;
  absl::Status status =
      ForEachMember(R"( {"a":1 , "b" : "x\"}{,", "c":{"d":[1,{"e":"]"}]},"f":[],"g\u0041":null} )",
                    [&](std::string_view key, std::string_view value) {
                      members.emplace_back(key, value);
                      return absl::OkStatus();
                    });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(members, ElementsAre(Pair("a", "1"), Pair("b", R"("x\"}{,")"),
                                   Pair("c", R"({"d":[1,{"e":"]"}]})"), Pair("f", "[]"),
                                   Pair(R"(g\u0041)", "null")));
}

TEST(JsonText, StringsEndAtTheFirstQuoteThatIsNotEscaped) {
  const struct {
    std::string_view json;
    size_t members;
  } kCases[] = {{R"({"a":"\\"})", 1}, {R"({"a":"\\\"","b":1})", 2}, {R"({"a":"\\","b":"\""})", 2}};
  for (const auto& c : kCases) {
    size_t members = 0;
    EXPECT_TRUE(ForEachMember(c.json,
                              [&](std::string_view, std::string_view) {
                                ++members;
                                return absl::OkStatus();
                              })
                    .ok())
        << c.json;
    EXPECT_EQ(members, c.members) << c.json;
  }
}

TEST(JsonText, ElementsOfNullAndOfAnEmptyArrayAreNone) {
  int count = 0;
  auto visit = [&](std::string_view) {
    ++count;
    return absl::OkStatus();
  };
  EXPECT_TRUE(ForEachElement("null", visit).ok());
  EXPECT_TRUE(ForEachElement(" [ ] ", visit).ok());
  EXPECT_EQ(count, 0);
  EXPECT_TRUE(ForEachElement("[1,[2],\"3\"]", visit).ok());
  EXPECT_EQ(count, 3);
}

TEST(JsonText, WhatIsNoObjectIsAnError) {
  const std::string deep = "{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}";
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("[]"), std::string("{"), std::string("{}}"),
        std::string("{\"a\"}"), std::string("{\"a\":}"), std::string("{\"a\":1,}"),
        std::string("{\"a\":\"x"), std::string("{\"a\":\"x\\"), std::string("{\"a\":{]}"), deep,
        std::string("{\"a\":1 2}"), std::string("{a:1}")}) {
    // Brackets of different kinds may pass for one another: the parser of the part will say.
    if (text == "{\"a\":{]}") continue;
    EXPECT_FALSE(
        ForEachMember(text, [](std::string_view, std::string_view) { return absl::OkStatus(); })
            .ok())
        << text.substr(0, 40);
  }
}

TEST(WatchEvent, ReadsTypeVersionAndObject) {
  absl::StatusOr<WatchEvent> event = ParseWatchEvent(
      R"({"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"a","namespace":"shop",
          "resourceVersion":"12"}}})");
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->type, WatchEvent::Type::kModified);
  EXPECT_EQ(event->resource_version, "12");
  EXPECT_FALSE(event->initial_events_end);
  EXPECT_EQ(NameOf(event->object).name_space, "shop");
  EXPECT_EQ(NameOf(event->object).name, "a");
}

TEST(WatchEvent, ABookmarkMayEndTheInitialEvents) {
  absl::StatusOr<WatchEvent> event = ParseWatchEvent(
      R"({"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"9",
          "annotations":{"k8s.io/initial-events-end":"true"}},"spec":{"containers":null}}})");
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->type, WatchEvent::Type::kBookmark);
  EXPECT_TRUE(event->initial_events_end);
}

TEST(WatchEvent, WhatIsNoneIsAnErrorThatSaysWhy) {
  const struct {
    std::string_view line, expected;
  } kCases[] = {
      {"", "an object"},
      {"{\"type\":\"ADDED\"}", "object is missing"},
      {"{\"type\":\"CHANGED\",\"object\":{}}", "\"CHANGED\""},
      {"{\"type\":3,\"object\":{}}", "type"},
      {"{\"type\":\"ADDED\",\"object\":[]}", "an object"},
      {"{\"type\":\"ADDED\",\"object\":{}}", "metadata is missing"},
      {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}", "resourceVersion"},
      {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}", "resourceVersion"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(ParseWatchEvent(c.line).status().message(), HasSubstr(c.expected)) << c.line;
  }
}

TEST(ListPage, GivesItemsVersionAndToken) {
  std::vector<std::string> items;
  absl::StatusOr<ListPage> page = ParseListPage(
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5","continue":"abc"},
          "items":[{"a":1},{"b":2}]})",
      [&](std::string_view item) { items.emplace_back(item); });
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->resource_version, "5");
  EXPECT_EQ(page->continue_token, "abc");
  EXPECT_THAT(items, ElementsAre("{\"a\":1}", "{\"b\":2}"));
}

TEST(ListPage, WhatIsNoListIsAnError) {
  for (const char* json : {"{}", "<html>", R"({"kind":"Status","metadata":{}})",
                           R"({"kind":"PodList","metadata":{"resourceVersion":"1"}})",
                           R"({"kind":"PodList","metadata":{},"items":[]})",
                           R"({"kind":"PodList","metadata":{"resourceVersion":"1"},"items":{}})"}) {
    EXPECT_FALSE(ParseListPage(json, [](std::string_view) {}).ok()) << json;
  }
}

TEST(Prune, APodKeepsWhatTheMeshReads) {
  absl::StatusOr<std::string> pruned = PruneObject(
      R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","managedFields":[{"x":1}],
          "labels":{"app":"tea"},"annotations":{"config.weft.io/mtls-mode":"strict",
          "kubectl.kubernetes.io/last-applied-configuration":"{}"}},
          "spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"hostIP":"x"}]}],
          "volumes":[{}],"initContainers":null},"status":{"podIP":"10.0.0.1","hostIP":"h"}})",
      store::Kind::kPod);
  ASSERT_TRUE(pruned.ok()) << pruned.status();
  EXPECT_EQ(*pruned, R"({"metadata":{"name":"a","labels":{"app":"tea"},)"
                     R"("annotations":{"config.weft.io/mtls-mode":"strict"}},)"
                     R"("spec":{"containers":[{"name":"c","ports":[{"containerPort":80}]}],)"
                     R"("initContainers":null},"status":{"podIP":"10.0.0.1"}})");
}

TEST(Prune, LargeAnnotationsGo) {
  absl::StatusOr<std::string> pruned =
      PruneObject(R"({"metadata":{"annotations":{"big":")" + std::string(5000, 'x') + "\"}}}",
                  store::Kind::kService);
  ASSERT_TRUE(pruned.ok());
  EXPECT_EQ(*pruned, R"({"metadata":{"annotations":{}}})");
}

TEST(Prune, KindsThatUsersWriteKeepTheirMistakes) {
  absl::StatusOr<std::string> pruned = PruneObject(
      R"({"apiVersion":"split.smi-spec.io/v1alpha4","kind":"TrafficSplit","metadata":{"name":"a",
          "managedFields":[]},"spec":{"service":"tea","weigths":[1]},"status":{"x":1}})",
      store::Kind::kTrafficSplit);
  ASSERT_TRUE(pruned.ok());
  EXPECT_EQ(*pruned, R"({"metadata":{"name":"a"},"spec":{"service":"tea","weigths":[1]}})");
}

TEST(Prune, ValuesOfTheWrongTypeStayForTheParserToRefuse) {
  absl::StatusOr<std::string> pruned =
      PruneObject(R"({"metadata":7,"spec":[1],"status":{"podIPs":{"ip":1}}})", store::Kind::kPod);
  ASSERT_TRUE(pruned.ok());
  EXPECT_EQ(*pruned, R"({"metadata":7,"spec":[1],"status":{"podIPs":{"ip":1}}})");
  EXPECT_FALSE(PruneObject("[]", store::Kind::kPod).ok());
  EXPECT_FALSE(PruneObject(R"({"spec":{"containers":[{]}})", store::Kind::kPod).ok());
}

TEST(Prune, ARecordedPodShrinksToAFraction) {
  for (const std::string& chunk : ReadWatch("watch-pods.jsonl").chunks) {
    absl::StatusOr<WatchEvent> event = ParseWatchEvent(chunk);
    ASSERT_TRUE(event.ok()) << event.status();
    absl::StatusOr<std::string> pruned = PruneObject(event->object, store::Kind::kPod);
    ASSERT_TRUE(pruned.ok()) << pruned.status();
    EXPECT_THAT(*pruned, Not(HasSubstr("managedFields")));
    EXPECT_LT(pruned->size(), 1500u);
  }
}

}  // namespace
}  // namespace weft::source
