#include "control-plane/discovery/type_session.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "gtest/gtest.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {
namespace {

using compile::ResourceType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kNoLimit = 1 << 20;
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

// Resources by name; the version is the content.
class MapCatalogue final : public Catalogue {
 public:
  ResourcePtr Get(const compile::ResourceKey& key) override {
    const auto found = content.find(key.name);
    if (found == content.end()) return nullptr;
    return std::make_shared<const compile::Resource>(
        compile::Resource{key, found->second, found->second});
  }
  void Release(const compile::ResourceKey& key) override {}
  std::optional<SpiffeId> IdentityOf(std::string_view workload) const override {
    return std::nullopt;
  }

  std::map<std::string, std::string> content;
};

class TypeSessionTest : public ::testing::Test {
 protected:
  // What the next response brings: "name=content" and "-name"; "nothing" if there is none.
  std::vector<std::string> Next(size_t max_bytes = kNoLimit) {
    const std::optional<Response> response =
        session_.Next(catalogue_, absl::StrCat(++nonce_), max_bytes);
    if (!response.has_value()) return {"nothing"};
    outstanding_ = response->nonce;
    std::vector<std::string> items;
    for (const ResourcePtr& resource : response->resources) {
      items.push_back(resource->key.name + "=" + resource->bytes);
    }
    for (const std::string& name : response->removed) items.push_back("-" + name);
    return items;
  }
  std::optional<TypeSession::Acknowledged> Ack() {
    return session_.Acknowledge(outstanding_, std::nullopt, kNow);
  }

  MapCatalogue catalogue_;
  TypeSession session_{ResourceType::kDestination};
  int nonce_ = 0;
  std::string outstanding_;  // nonce of the last response
};

TEST_F(TypeSessionTest, NothingIsDueToWhoHasSubscribedToNothing) {
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  session_.MarkChanged("a", kNow);
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  EXPECT_TRUE(session_.InSync());
}

TEST_F(TypeSessionTest, WhatCameAndWentBetweenTwoResponsesIsNotSent) {
  catalogue_.content = {{"a", "1"}};
  EXPECT_TRUE(session_.Subscribe("a", ""));
  EXPECT_FALSE(session_.InSync());
  EXPECT_THAT(Next(), ElementsAre("a=1"));
  catalogue_.content["a"] = "2";
  session_.MarkChanged("a", kNow);
  EXPECT_THAT(Next(), ElementsAre("nothing"));  // one is outstanding
  catalogue_.content["a"] = "1";
  session_.MarkChanged("a", kNow);
  ASSERT_TRUE(Ack().has_value());
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  EXPECT_TRUE(session_.InSync());
}

TEST_F(TypeSessionTest, AbsenceIsToldOnceAndAgainOnResubscription) {
  session_.Subscribe("a", "");
  EXPECT_THAT(Next(), ElementsAre("-a"));
  Ack();
  session_.MarkChanged("a", kNow);
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  EXPECT_FALSE(session_.Subscribe("a", ""));
  EXPECT_THAT(Next(), ElementsAre("-a"));
}

TEST_F(TypeSessionTest, AKnownVersionIsTakenAtItsWordOnce) {
  catalogue_.content = {{"a", "1"}, {"b", "1"}};
  session_.Subscribe("a", "1");
  session_.Subscribe("b", "0");
  EXPECT_THAT(Next(), ElementsAre("b=1"));
  Ack();
  EXPECT_EQ(session_.Describe().sent(), 2U);
  session_.Subscribe("a", "");
  EXPECT_THAT(Next(), ElementsAre("a=1"));
}

TEST_F(TypeSessionTest, WhatIsUnsubscribedIsNotSentEvenIfItWasDue) {
  catalogue_.content = {{"a", "1"}, {"b", "1"}};
  session_.Subscribe("a", "");
  session_.Subscribe("b", "");
  EXPECT_TRUE(session_.Unsubscribe("a"));
  EXPECT_FALSE(session_.Unsubscribe("a"));
  EXPECT_THAT(Next(), ElementsAre("b=1"));
}

TEST_F(TypeSessionTest, SubscribingAndUnsubscribingForeverTakesNoMemory) {
  catalogue_.content = {{"a", "1"}};
  session_.Subscribe("a", "");
  EXPECT_THAT(Next(), ElementsAre("a=1"));
  for (int i = 0; i < 100'000; ++i) {
    session_.Subscribe("b", "");
    session_.Unsubscribe("b");
  }
  session_.Subscribe("b", "");
  Ack();
  EXPECT_THAT(Next(), ElementsAre("-b"));
  EXPECT_THAT(Next(), ElementsAre("nothing"));
}

TEST_F(TypeSessionTest, ARefusalIsKeptAndItsResourceNotRepeated) {
  catalogue_.content = {{"a", "bad"}};
  session_.Subscribe("a", "");
  EXPECT_THAT(Next(), ElementsAre("a=bad"));
  const auto refused = session_.Acknowledge(outstanding_, "no such thing", kNow);
  ASSERT_TRUE(refused.has_value());
  EXPECT_TRUE(refused->refused);
  EXPECT_EQ(session_.Describe().nack(), "no such thing");
  EXPECT_FALSE(session_.InSync());
  session_.MarkChanged("a", kNow);
  EXPECT_THAT(Next(), ElementsAre("nothing"));
  catalogue_.content["a"] = "good";
  session_.MarkChanged("a", kNow);
  EXPECT_THAT(Next(), ElementsAre("a=good"));
  Ack();
  EXPECT_EQ(session_.Describe().nack(), "");
  EXPECT_TRUE(session_.InSync());
}

TEST_F(TypeSessionTest, ALongRefusalIsCutShortAndASilentOneStaysVisible) {
  session_.Subscribe("a", "");
  Next();
  session_.Acknowledge(outstanding_, std::string(100'000, 'x'), kNow);
  EXPECT_EQ(session_.Describe().nack().size(), 4096U);
  session_.Subscribe("a", "");
  Next();
  session_.Acknowledge(outstanding_, "", kNow);
  EXPECT_EQ(session_.Describe().nack(), "refused without a reason");
}

TEST_F(TypeSessionTest, AnAcknowledgementSaysSinceWhenItsOldestChangeWaited) {
  catalogue_.content = {{"a", "1"}, {"b", "1"}};
  session_.Subscribe("a", "");
  session_.Subscribe("b", "");
  Next();
  EXPECT_FALSE(Ack()->since.has_value());  // no change: a subscription
  catalogue_.content = {{"a", "2"}, {"b", "2"}};
  session_.MarkChanged("b", kNow + absl::Seconds(5));
  session_.MarkChanged("a", kNow + absl::Seconds(7));
  session_.MarkChanged("a", kNow + absl::Seconds(9));
  EXPECT_THAT(Next(), ElementsAre("b=2", "a=2"));
  EXPECT_EQ(Ack()->since, kNow + absl::Seconds(5));
}

TEST_F(TypeSessionTest, LimitedResponsesCarryEverythingInTurn) {
  for (const char* name : {"a", "b", "c"}) {
    catalogue_.content[name] = std::string(1000, *name);
    session_.Subscribe(name, "");
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Next(500).size(), 1U);
    EXPECT_THAT(Next(500), ElementsAre("nothing"));
    ASSERT_TRUE(Ack().has_value());
  }
  EXPECT_THAT(Next(500), ElementsAre("nothing"));
}

TEST(ResponseTest, TheEncodedResponseIsWhatProtobufReads) {
  using envoy::service::discovery::v3::DeltaDiscoveryResponse;
  v1::Endpoints endpoints;
  for (int i = 0; i < 50; ++i) endpoints.add_endpoints()->set_address(absl::StrCat("10.0.0.", i));
  const std::string large = endpoints.SerializeAsString();
  ASSERT_GT(large.size(), 512U);
  for (const std::vector<std::string>& contents : std::vector<std::vector<std::string>>{
           {}, {""}, {"small"}, {large}, {"small", large, "", large, large, "small"}}) {
    Response response{.type = ResourceType::kEndpoints,
                      .nonce = "n-1",
                      .resources = {},
                      .removed = {"gone", "also gone"}};
    for (const std::string& content : contents) {
      const std::string name = absl::StrCat("shop/tea:", response.resources.size());
      response.resources.push_back(std::make_shared<const compile::Resource>(
          compile::Resource{{ResourceType::kEndpoints, name}, "v1", content}));
    }
    grpc::ByteBuffer bytes = Encode(response);
    DeltaDiscoveryResponse parsed;
    ASSERT_TRUE(
        grpc::SerializationTraits<DeltaDiscoveryResponse>::Deserialize(&bytes, &parsed).ok());
    EXPECT_EQ(parsed.type_url(), "type.googleapis.com/weft.v1.Endpoints");
    EXPECT_EQ(parsed.nonce(), "n-1");
    EXPECT_THAT(parsed.removed_resources(), ElementsAre("gone", "also gone"));
    ASSERT_EQ(parsed.resources_size(), static_cast<int>(contents.size()));
    for (int i = 0; i < parsed.resources_size(); ++i) {
      EXPECT_EQ(parsed.resources(i).name(), absl::StrCat("shop/tea:", i));
      EXPECT_EQ(parsed.resources(i).version(), "v1");
      EXPECT_EQ(parsed.resources(i).resource().type_url(), parsed.type_url());
      EXPECT_EQ(parsed.resources(i).resource().value(), contents[i]);
    }
  }
}

TEST(ResponseTest, LargeResourcesAreSharedNotCopiedAndLiveAsLongAsTheBuffer) {
  auto resource = std::make_shared<const compile::Resource>(
      compile::Resource{{ResourceType::kEndpoints, "a"}, "v", std::string(10'000, 'x')});
  {
    const grpc::ByteBuffer buffer = Encode(
        {.type = ResourceType::kEndpoints, .nonce = "1", .resources = {resource}, .removed = {}});
    EXPECT_EQ(resource.use_count(), 2);
    std::vector<grpc::Slice> slices;
    ASSERT_TRUE(buffer.Dump(&slices).ok());
    bool shared = false;
    for (const grpc::Slice& slice : slices) {
      shared = shared || reinterpret_cast<const char*>(slice.begin()) == resource->bytes.data();
    }
    EXPECT_TRUE(shared);
  }
  EXPECT_EQ(resource.use_count(), 1);
}

}  // namespace
}  // namespace weft::discovery
