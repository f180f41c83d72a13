#include "injector/init/redirection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::HasSubstr;

TEST(PortsTest, AreListsOfPortsAndRangesMergedAndSorted) {
  const struct {
    const char* text;
    std::vector<PortRange> expected;
  } cases[] = {
      {"", {}},
      {"  ", {}},
      {"25", {{25, 25}}},
      {"1-65535", {{1, 65535}}},
      {"8080, 25", {{25, 25}, {8080, 8080}}},
      {"8000-8100,8050-8200,25,25", {{25, 25}, {8000, 8200}}},
      {"8000-8200,8050", {{8000, 8200}}},
  };
  for (const auto& c : cases) {
    const auto ports = ParsePorts("--f", c.text);
    ASSERT_TRUE(ports.ok()) << c.text << ": " << ports.status();
    EXPECT_EQ(*ports, c.expected) << c.text;
  }
}

TEST(PortsTest, ErrorsNameTheFlagAndTheEntry) {
  for (const char* text : {"0", "65536", "http", "25,", ",25", "-5", "5-", "1-2-3", "+5",
                           "99999999999", "1:2", "25 26"}) {
    const auto ports = ParsePorts("--ignore-incoming-ports", text);
    ASSERT_FALSE(ports.ok()) << text;
    EXPECT_THAT(std::string(ports.status().message()), HasSubstr("--ignore-incoming-ports"))
        << text;
  }
  EXPECT_THAT(std::string(ParsePorts("--f", "25,9-8").status().message()),
              HasSubstr("\"9-8\" is not a range: it ends before it starts"));
  EXPECT_THAT(std::string(ParsePort("--outbound-port", "0").status().message()),
              HasSubstr("--outbound-port: \"0\" is not a port from 1 to 65535"));
}

TEST(NetworksTest, AreAddressesAndCidrsOfBothFamiliesInCanonicalForm) {
  const struct {
    const char* text;
    IpFamily family;
    const char* expected;
  } cases[] = {
      {"10.0.0.0/8", IpFamily::kV4, "10.0.0.0/8"},
      {"10.1.2.3/8", IpFamily::kV4, "10.0.0.0/8"},
      {"10.255.255.255/9", IpFamily::kV4, "10.128.0.0/9"},
      {"169.254.169.254", IpFamily::kV4, "169.254.169.254/32"},
      {"0.0.0.0/0", IpFamily::kV4, "0.0.0.0/0"},
      {"fd00::/8", IpFamily::kV6, "fd00::/8"},
      {"FD00:0:0::1/64", IpFamily::kV6, "fd00::/64"},
      {"2001:db8::7", IpFamily::kV6, "2001:db8::7/128"},
  };
  for (const auto& c : cases) {
    const auto networks = ParseNetworks("--f", c.text);
    ASSERT_TRUE(networks.ok()) << c.text << ": " << networks.status();
    ASSERT_EQ(networks->size(), 1u) << c.text;
    EXPECT_EQ((*networks)[0].cidr, c.expected);
    EXPECT_EQ((*networks)[0].family, c.family) << c.text;
  }
  EXPECT_EQ(ParseNetworks("--f", "10.0.0.0/8, fd00::/8,10.9.9.9/8")->size(), 2u);
}

TEST(NetworksTest, ErrorsNameTheFlagAndTheEntry) {
  for (const char* text : {"10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1",
                           "10.0.0.0/8/8", "example.org", "10.0.0.1:80", ","}) {
    const auto networks = ParseNetworks("--ignore-outgoing-cidrs", text);
    ASSERT_FALSE(networks.ok()) << text;
    EXPECT_THAT(std::string(networks.status().message()), HasSubstr("--ignore-outgoing-cidrs: \""))
        << text;
  }
}

}  // namespace
}  // namespace weft
