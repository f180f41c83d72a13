#include "base/kubernetes/config.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::kubernetes {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() { std::filesystem::create_directories(directory_); }

  std::string Write(const std::string& name, const std::string& content) const {
    const std::string path = absl::StrCat(directory_, "/", name);
    std::ofstream(path) << content;
    return path;
  }

  // A kubeconfig with one context whose cluster and user have these fields.
  std::string Kubeconfig(const std::string& cluster, const std::string& user) const {
    return Write("config", absl::StrCat(R"(
apiVersion: v1
kind: Config
current-context: main
contexts:
- name: main
  context: {cluster: c, user: u, namespace: shop}
- name: bare
  context: {cluster: c}
clusters:
- name: c
  cluster: {)",
                                        cluster, R"(}
users:
- name: u
  user: {)",
                                        user, "}\n"));
  }

  const std::string directory_ = absl::StrCat(
      testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(ConfigTest, InCluster) {
  Write("token", "secret\n");
  Write("ca.crt", "PEM");
  Write("namespace", "weft-system\n");
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  absl::StatusOr<Config> config = Config::InCluster(directory_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->ca_pem, "PEM");
  EXPECT_EQ(config->token, "");
  EXPECT_EQ(config->token_file, absl::StrCat(directory_, "/token"));
  EXPECT_EQ(config->name_space, "weft-system");

  std::filesystem::remove(absl::StrCat(directory_, "/token"));
  EXPECT_THAT(Config::InCluster(directory_).status().message(),
              HasSubstr("/token: cannot be read"));
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(Config::InCluster(directory_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ConfigTest, KubeconfigWithDataInPlace) {
  const std::string path =
      Kubeconfig(absl::StrCat("server: 'https://api:6443/', tls-server-name: kubernetes, "
                              "proxy-url: 'http://proxy:3128', certificate-authority-data: ",
                              absl::Base64Escape("CA")),
                 absl::StrCat("client-certificate-data: ", absl::Base64Escape("CERT"),
                              ", client-key-data: ", absl::Base64Escape("KEY")));
  absl::StatusOr<Config> config = Config::FromKubeconfig(path);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://api:6443");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->proxy, "http://proxy:3128");
  EXPECT_EQ(config->ca_pem, "CA");
  EXPECT_EQ(config->client_certificate_pem, "CERT");
  EXPECT_EQ(config->client_key_pem, "KEY");
  EXPECT_EQ(config->name_space, "shop");

  config = Config::FromKubeconfig(path, "bare");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->client_key_pem, "");
  EXPECT_EQ(config->name_space, "default");
}

TEST_F(ConfigTest, FilesAreRelativeToTheKubeconfig) {
  Write("ca.crt", "CA");
  Write("token", "secret\n");
  absl::StatusOr<Config> config = Config::FromKubeconfig(Kubeconfig(
      "server: 'https://api', certificate-authority: ca.crt", "token: ignored, tokenFile: token"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->ca_pem, "CA");
  EXPECT_EQ(config->ca_file, absl::StrCat(directory_, "/ca.crt"));
  EXPECT_EQ(config->token, "");
  EXPECT_EQ(config->token_file, absl::StrCat(directory_, "/token"));
}

TEST_F(ConfigTest, PlainHttpIsForTheMachineItself) {
  EXPECT_TRUE(Config::FromKubeconfig(Kubeconfig("server: 'http://127.0.0.1:8001'", "")).ok());
  EXPECT_FALSE(Config::FromKubeconfig(Kubeconfig("server: 'http://127.0.0.1.evil'", "")).ok());
  EXPECT_FALSE(Config::FromKubeconfig(Kubeconfig("server: 'http://api'", "")).ok());
}

TEST_F(ConfigTest, ErrorsNameFileEntryAndField) {
  const std::string good = "server: 'https://api'";
  const struct {
    std::string cluster, user, expected;
  } kCases[] = {
      {"", "", "cluster \"c\": server must be"},
      {good + ", insecure-skip-tls-verify: true", "", "insecure-skip-tls-verify is refused"},
      {good + ", certificate-authority-data: '*'", "", "certificate-authority-data is not base64"},
      {good + ", certificate-authority: nowhere", "", "certificate-authority "},
      {good, "exec: {command: aws}", "user \"u\": exec is not supported"},
      {good, "auth-provider: {name: gcp}", "user \"u\": auth-provider is not supported"},
      {good, "username: a, password: b", "username is not supported"},
      {good, "client-certificate-data: YQ==", "client-certificate and client-key belong together"},
      {good, "tokenFile: nowhere", "tokenFile "},
  };
  for (const auto& c : kCases) {
    absl::StatusOr<Config> config = Config::FromKubeconfig(Kubeconfig(c.cluster, c.user));
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << c.expected;
    EXPECT_THAT(config.status().message(), HasSubstr(c.expected));
    EXPECT_THAT(config.status().message(), HasSubstr("/config: "));
  }
}

TEST_F(ConfigTest, WhatIsNoKubeconfigIsSaidToBeNone) {
  for (const char* text : {"", "[]", "a: [", "contexts: 1", "current-context: x",
                           "current-context: x\ncontexts: [1, {name: [x]}, {name: x, context: 2}]",
                           "current-context: {}\n"}) {
    EXPECT_EQ(Config::FromKubeconfig(Write("config", text)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_EQ(Config::FromKubeconfig(directory_ + "/missing").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace weft::kubernetes
