#include "sidecar/proxy/client_hello.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "openssl/ssl.h"
#include "sidecar/io/buffer.h"

namespace weft::proxy {
namespace {

// What a TLS client that offers these protocols sends first.
std::string Hello(const std::vector<std::string>& protocols, bool tls13_only = true) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  if (tls13_only) SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  bssl::UniquePtr<SSL> ssl(SSL_new(context.get()));
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  if (!wire.empty()) {
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const uint8_t*>(wire.data()), wire.size());
  }
  SSL_set_tlsext_host_name(ssl.get(), "tea.1");
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(out, &bytes, &size);
  return {reinterpret_cast<const char*>(bytes), size};
}

Opening Of(std::string_view bytes) { return Classify(io::AsBytes(bytes)); }

TEST(ClientHelloTest, TellsMeshFromForeignTls) {
  EXPECT_EQ(Of(Hello({"weft/h2"})), Opening::kMeshTls);
  EXPECT_EQ(Of(Hello({"weft/tcp"})), Opening::kMeshTls);
  EXPECT_EQ(Of(Hello({"weft/h2", "weft/tcp"})), Opening::kMeshTls);
  EXPECT_EQ(Of(Hello({})), Opening::kForeignTls);
  EXPECT_EQ(Of(Hello({}, false)), Opening::kForeignTls);
  EXPECT_EQ(Of(Hello({"h2", "http/1.1"})), Opening::kForeignTls);
  EXPECT_EQ(Of(Hello({"weft/h2", "h2"})), Opening::kForeignTls);
  EXPECT_EQ(Of(Hello({"weft/h3"})), Opening::kForeignTls);
}

TEST(ClientHelloTest, NeedsEveryByteOfTheHelloAndNoneBeyond) {
  const std::string hello = Hello({"weft/h2"});
  for (size_t n = 0; n < hello.size(); ++n) {
    EXPECT_EQ(Of(std::string_view(hello).substr(0, n)), Opening::kNeedMore) << n;
  }
  EXPECT_EQ(Of(hello + "more"), Opening::kMeshTls);
}

TEST(ClientHelloTest, SurvivesEveryBrokenByte) {
  const std::string hello = Hello({"weft/h2"});
  for (size_t i = 0; i < hello.size(); ++i) {
    for (const char change : {'\x00', '\x01', '\x7f', '\xff'}) {
      std::string broken = hello;
      broken[i] = static_cast<char>(broken[i] ^ change);
      Of(broken);
    }
  }
}

TEST(ClientHelloTest, RefusesLengthsThatDoNotAgree) {
  // A handshake message that claims to be longer than its record, and one that never ends.
  EXPECT_EQ(Of(std::string("\x16\x03\x01\x00\x05\x01\x00\x01\x00", 9)), Opening::kForeignTls);
  EXPECT_EQ(Of(std::string("\x16\x03\x01\xff\xff\x01\x00\xff\x00", 9)), Opening::kForeignTls);
  EXPECT_EQ(Of(std::string("\x16\x03\x01\x00\x04\x02", 6)), Opening::kForeignTls);
  EXPECT_EQ(Of(std::string("\x16\x02", 2)), Opening::kOther);
}

TEST(ClientHelloTest, TellsPlaintextByItsFirstBytes) {
  struct Case {
    std::string bytes;
    Opening opening;
  };
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::vector<Case> cases = {
      {"", Opening::kNeedMore},
      {"GET", Opening::kNeedMore},
      {"GET ", Opening::kHttp1},
      {"GET / HTTP/1.1\r\n", Opening::kHttp1},
      {"M-SEARCH * HTTP/1.1", Opening::kHttp1},
      {"get / HTTP/1.1", Opening::kOther},
      {" GET", Opening::kOther},
      {preface.substr(0, 10), Opening::kNeedMore},
      {preface, Opening::kHttp2},
      {preface + "frames", Opening::kHttp2},
      {"PRI / HTTP/1.1", Opening::kHttp1},
      {"SSH-2.0-OpenSSH", Opening::kOther},
      {"*1\r\n$4\r\nPING\r\n", Opening::kOther},
      {std::string(100, 'A'), Opening::kOther},
      {std::string("\x00\x00\x00\x08", 4), Opening::kOther},
  };
  for (const Case& c : cases) EXPECT_EQ(Of(c.bytes), c.opening) << c.bytes;
}

}  // namespace
}  // namespace weft::proxy
