#include "base/spiffe_id.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(SpiffeIdTest, ParsesWhatItPrints) {
  const std::string uri = "spiffe://cluster.local/ns/shop/sa/tea-v1";
  const absl::StatusOr<SpiffeId> id = SpiffeId::Parse(uri);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->trust_domain, "cluster.local");
  EXPECT_EQ(id->name_space, "shop");
  EXPECT_EQ(id->service_account, "tea-v1");
  EXPECT_EQ(id->ToString(), uri);
}

TEST(SpiffeIdTest, RefusesWhatIsNoWorkloadIdentity) {
  const std::vector<std::string> bad = {
      "",
      "http://cluster.local/ns/a/sa/b",
      "spiffe://",
      "spiffe:///ns/a/sa/b",
      "spiffe://Cluster.local/ns/a/sa/b",
      "spiffe://cluster.local:80/ns/a/sa/b",
      "spiffe://user@cluster.local/ns/a/sa/b",
      "spiffe://cluster.local",
      "spiffe://cluster.local/",
      "spiffe://cluster.local/ns/a",
      "spiffe://cluster.local/ns/a/sa/",
      "spiffe://cluster.local/ns//sa/b",
      "spiffe://cluster.local/ns/a/sa/b/",
      "spiffe://cluster.local/ns/a/sa/b?x=1",
      "spiffe://cluster.local/ns/a/sa/b#x",
      "spiffe://cluster.local/ns/A/sa/b",
      "spiffe://cluster.local/ns/a/sa/../b",
      "spiffe://cluster.local/sa/a/ns/b",
      std::string("spiffe://cluster.local/ns/a/sa/b\0", 33),
      "spiffe://cluster.local/ns/a/sa/" + std::string(3000, 'b'),
  };
  for (const std::string& uri : bad) {
    EXPECT_EQ(SpiffeId::Parse(uri).status().code(), absl::StatusCode::kInvalidArgument) << uri;
  }
}

}  // namespace
}  // namespace weft
