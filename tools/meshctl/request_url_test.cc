#include "tools/meshctl/request_url.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace weft::meshctl {
namespace {

TEST(RequestUrlTest, UrlsAreReadAsPeopleWriteThem) {
  struct Case {
    const char* url;
    const char* host;
    uint32_t port;
    const char* target;
    const char* authority;
    bool tls;
  };
  for (const Case& c : std::vector<Case>{
           {"tea.1", "tea.1", 80, "/", "tea.1", false},
           {"tea.1/path", "tea.1", 80, "/path", "tea.1", false},
           {"http://tea.1", "tea.1", 80, "/", "tea.1", false},
           {"HTTP://tea.1:8080/a/b?c=d#e", "tea.1", 8080, "/a/b?c=d", "tea.1:8080", false},
           {"tea?x=/y", "tea", 80, "/?x=/y", "tea", false},
           {"https://tea/x", "tea", 443, "/x", "tea", true},
           {"https://tea:8443", "tea", 8443, "/", "tea:8443", true},
           {"10.0.0.1:81", "10.0.0.1", 81, "/", "10.0.0.1:81", false},
           {"[fd00::1]/x", "fd00::1", 80, "/x", "[fd00::1]", false},
           {"http://[fd00::1]:81/x", "fd00::1", 81, "/x", "[fd00::1]:81", false},
           {"tea/http://x", "tea", 80, "/http://x", "tea", false},
       }) {
    const absl::StatusOr<RequestUrl> parsed = RequestUrl::Parse(c.url);
    ASSERT_TRUE(parsed.ok()) << c.url << ": " << parsed.status();
    EXPECT_EQ(parsed->host, c.host) << c.url;
    EXPECT_EQ(parsed->port, c.port) << c.url;
    EXPECT_EQ(parsed->target, c.target) << c.url;
    EXPECT_EQ(parsed->authority, c.authority) << c.url;
    EXPECT_EQ(parsed->tls, c.tls) << c.url;
  }
}

TEST(RequestUrlTest, WhatIsNoUrlIsRefused) {
  for (const char* url :
       {"", "/path", "http://", "http:///x", "ftp://tea/", "tea:", "tea:x", "tea:0", "tea:65536",
        "[fd00::1", "[fd00::1]x", "[fd00::1]:", "user@tea/", "te a/", "tea/a b", "tea/\n", "?x"}) {
    EXPECT_EQ(RequestUrl::Parse(url).status().code(), absl::StatusCode::kInvalidArgument) << url;
  }
}

}  // namespace
}  // namespace weft::meshctl
